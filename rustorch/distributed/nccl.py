"""Exchanges through NCCL, on CuPy arrays, where every rank has a GPU of its own."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..backends import Array, Backend
from .exchange import Exchange
from .work import Done, Request

__all__ = ["NcclExchange", "connect"]


def _engine() -> Any:
    """The backend's module for NCCL. CuPy is imported already: there is an array of its."""
    from ..backends.cupy import nccl

    return nccl


def machine() -> str:
    """What differs between machines, also where containers have the same name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}"


def connect(
    host: Exchange, rank: int, size: int, backend: Backend, array: Array, required: bool
) -> NcclExchange | None:
    """Connect the GPUs of all ranks of a group. All of them call it, each with an array on its GPU.

    Parameters
    ----------
    host : Exchange
        What carries bytes between them.
    rank, size : int
        This rank and the number of ranks in the group.
    backend : Backend
        CuPy's.
    array : native array
        The GPU is that of this array.
    required : bool
        Whether there is no other way to exchange arrays on GPUs.

    Returns
    -------
    NcclExchange or None
        None if NCCL cannot connect them, because ranks share a GPU or NCCL is missing, and it is not required.

    Raises
    ------
    RuntimeError
        If NCCL cannot connect them, and it is required. Every rank raises it, with the reason of each.
    """
    engine = _engine()
    device = backend.device_of(array)
    own = {"device": device, "machine": machine(), "bus": engine.bus(array), "missing": engine.why_not()}
    ranks = [json.loads(data) for data in host.gather_bytes(json.dumps(own).encode())]
    problem = _shared(ranks) or _missing(ranks)
    if problem:
        if required:
            raise RuntimeError(f"NCCL cannot connect the {size} ranks: {problem}")
        if not _shared(ranks) and rank == 0:
            warnings.warn(
                f"arrays on GPUs are exchanged through the memory of the host, which is slow: {problem}",
                RuntimeWarning,
                stacklevel=2,
            )
        return None
    unique_id = host.broadcast_bytes(engine.new_id() if rank == 0 else b"", 0)
    found, error = None, ""
    try:
        found = engine.Communicator(size, unique_id, rank, array.device.id)
    except RuntimeError as raised:
        error = str(raised)
    errors = [data.decode() for data in host.gather_bytes(error.encode())]
    if any(errors):
        if found is not None:
            found.abort()
        lines = "".join(f"\n  rank {r}: {text}" for r, text in enumerate(errors) if text)
        raise RuntimeError(f"the {size} ranks cannot be connected:{lines}")
    assert found is not None
    return NcclExchange(found, host, device, backend)


def _shared(ranks: list[dict[str, Any]]) -> str:
    """Which ranks have the same GPU, if any."""
    by_gpu: dict[tuple[str, str], list[int]] = {}
    for rank, place in enumerate(ranks):
        by_gpu.setdefault((place["machine"], place["bus"]), []).append(rank)
    for same in by_gpu.values():
        if len(same) > 1:
            device = ranks[same[0]]["device"]
            return (
                f"ranks {', '.join(map(str, same))} have arrays on the same GPU, {device!r}; give each rank a GPU of "
                f"its own, as in x.to(f'cuda:{{local_rank()}}'), or start as many ranks as there are GPUs"
            )
    return ""


def _missing(ranks: list[dict[str, Any]]) -> str:
    """On which rank NCCL is missing, if on any."""
    return next((f"on rank {rank}, {place['missing']}" for rank, place in enumerate(ranks) if place["missing"]), "")


class NcclExchange(Exchange):
    """The collectives of one NCCL communicator.

    Arrays go from one rank to another (`send`, `recv`) through MPI and the memory of the host, if there is MPI, since
    NCCL has no tags and cannot receive from any rank.
    """

    name = "nccl"
    on_host = False

    def __init__(self, communicator: Any, host: Exchange, device: str, backend: Backend):
        self._communicator = communicator
        self._host = host
        self._device = device
        self._backend = backend

    def _start(self, function: str, call: Callable[[], Request], *arrays: Array | None) -> Request:
        """Start an exchange of arrays on this rank's GPU. Arrays without elements are not sent."""
        for array in arrays:
            if array is not None and self._backend.device_of(array) != self._device:
                raise ValueError(
                    f"{function}: this rank exchanges arrays on {self._device!r}, and this one is on "
                    f"{self._backend.device_of(array)!r}; move it with .to({self._device!r})"
                )
        return call() if any(array is not None and array.size for array in arrays) else Done()

    def all_reduce(self, array: Array, op: str) -> Request:
        return self._start("all_reduce", lambda: self._communicator.all_reduce(array, op), array)

    def reduce(self, array: Array, root: int, op: str) -> Request:
        return self._start("reduce", lambda: self._communicator.reduce(array, root, op), array)

    def broadcast(self, array: Array, root: int) -> Request:
        return self._start("broadcast", lambda: self._communicator.broadcast(array, root), array)

    def all_gather(self, output: Array, array: Array) -> Request:
        return self._start("all_gather", lambda: self._communicator.all_gather(output, array), array, output)

    def gather(self, output: Array | None, array: Array, root: int) -> Request:
        return self._start("gather", lambda: self._communicator.gather(output, array, root), array, output)

    def scatter(self, array: Array, values: Array | None, root: int) -> Request:
        return self._start("scatter", lambda: self._communicator.scatter(array, values, root), array, values)

    def reduce_scatter(self, output: Array, values: Array, op: str) -> Request:
        return self._start(
            "reduce_scatter", lambda: self._communicator.reduce_scatter(output, values, op), output, values
        )

    def all_to_all(self, output: Array, values: Array) -> Request:
        return self._start("all_to_all", lambda: self._communicator.all_to_all(output, values), output, values)

    # -- from one rank to another --------------------------------------------------------------------------------------
    def send(self, array: Array, to: int, tag: int) -> Request:
        self._check_peer("send", to, tag)
        return self._start("send", lambda: self._communicator.send(array, to), array)

    def recv(self, array: Array, source: int | None, tag: int) -> tuple[Request, Callable[[], int]]:
        self._check_peer("recv", source, tag)
        return self._start("recv", lambda: self._communicator.recv(array, source), array), lambda: source or 0

    def _check_peer(self, function: str, rank: int | None, tag: int) -> None:
        if rank is None or tag:
            what = "receives from a rank that is named, as in src=0" if rank is None else f"has no tags, not even {tag}"
            raise ValueError(f"{function}: without MPI, NCCL {what}; or start the program by mpiexec")

    # -- everything else -----------------------------------------------------------------------------------------------
    def barrier(self) -> Request:
        return self._host.barrier()

    def gather_bytes(self, data: bytes) -> list[bytes]:
        return self._host.gather_bytes(data)

    def broadcast_bytes(self, data: bytes, root: int) -> bytes:
        return self._host.broadcast_bytes(data, root)

    def split(self, members: tuple[int, ...] | None) -> Exchange | None:
        return self._host.split(members)

    def oldest(self) -> tuple[str, float] | None:
        """What the oldest exchange that still runs is, and when it began, by ``time.monotonic``. Any thread may ask."""
        found: tuple[str, float] | None = self._communicator.oldest()
        return found

    def close(self) -> None:
        self._communicator.close()
