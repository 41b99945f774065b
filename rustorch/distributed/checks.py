"""The comparison of what the ranks call, before arrays are exchanged."""

from __future__ import annotations

import zlib

from .group import ProcessGroup, state

__all__ = ["compare"]


def compare(group: ProcessGroup, function: str, text: str, checked: bool, async_op: bool) -> None:
    """Check that all ranks of a group call the same function on like arrays.

    Parameters
    ----------
    group : ProcessGroup
    function : str
        What is called, for the message.
    text : str
        The call with what has to be equal on all ranks: dtypes, shapes, the rank that sends, the reduction.
    checked : bool
        Whether the comparison is cheap for this exchange.
    async_op : bool
        Whether the caller will not wait: then the ranks are compared in debug mode alone, since comparing waits.

    Raises
    ------
    ValueError
        If the calls differ, on every rank, with the call of each. Nothing has been exchanged.
    """
    wanted = state.checks == "all" or (state.checks == "sync" and checked and not async_op)
    if not wanted or group.size == 1:
        return
    data = text.encode()
    exchange = group.exchange
    if exchange.agree(zlib.crc32(data) << 31 ^ zlib.adler32(data)):
        return
    lines = [part.decode() for part in exchange.gather_bytes(data)]
    table = "".join(f"\n  rank {rank}: {line}" for rank, line in zip(group.ranks, lines, strict=True))
    raise ValueError(
        f"{function}: every rank has to call the same function on arrays of one shape and dtype, in the same order. "
        f"The calls differ, and nothing was exchanged:{table}"
    )
