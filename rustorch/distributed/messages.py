"""Arrays from one rank to another, and Python values from one rank to all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..backends import Array
from .arguments import Staged, like, native
from .calls import Watched
from .checks import compare
from .group import ProcessGroup, resolved
from .work import Work

if TYPE_CHECKING:
    from ..variable import Variable

__all__ = ["all_gather_object", "broadcast_object", "irecv", "isend", "recv", "send"]


def isend(tensor: Variable | Array, dst: int, group: ProcessGroup | None = None, tag: int = 0) -> Work:
    """Begin to send an array to rank ``dst``. See `send`.

    Returns
    -------
    Work
        Its ``wait`` returns when the array may be written again.
    """
    return _sent(tensor, dst, group, tag, "isend")


def send(tensor: Variable | Array, dst: int, group: ProcessGroup | None = None, tag: int = 0) -> None:
    """Send an array to rank ``dst``, which receives it with `recv` in an array of the same shape and dtype.

    Parameters
    ----------
    tensor : Variable or native array
    dst : int
        A rank of the world, other than this one.
    group : ProcessGroup, optional
        Default: all ranks.
    tag : int
        A number that tells messages apart: `recv` receives only what was sent with the same tag.

    Raises
    ------
    ValueError
        If ``dst`` is this rank or is not in the group, or if the array is not contiguous.
    """
    _sent(tensor, dst, group, tag, "send").wait()


def _sent(tensor: Any, dst: int, group: ProcessGroup | None, tag: int, function: str) -> Work:
    members = resolved(group, function)
    array = native(tensor, function, written=False)
    position = members.position(dst, function)
    if position == members.rank:
        raise ValueError(f"{function}: rank {dst} is this rank itself; send to another one")
    _check_tag(tag, function)
    exchange = members.exchange_for_message(array, function)
    staged = Staged(exchange, function)
    key = members.calls.begin(f"{function}({like(array)}, dst={dst}, tag={tag})", (dst,))
    try:
        request = exchange.send(staged.read(array), position, tag)
    except BaseException:
        members.calls.end(key)
        raise
    return Work(Watched(request, members.calls, key, waits=False))


def irecv(tensor: Variable | Array, src: int | None = None, group: ProcessGroup | None = None, tag: int = 0) -> Work:
    """Begin to receive an array. See `recv`.

    Returns
    -------
    Work
        Its ``wait`` returns when the array has arrived.
    """
    return _received(tensor, src, group, tag, "irecv")[0]


def recv(tensor: Variable | Array, src: int | None = None, group: ProcessGroup | None = None, tag: int = 0) -> int:
    """Receive an array that another rank sends with `send`.

    Parameters
    ----------
    tensor : Variable or native array
        It is changed in place.
    src : int, optional
        The rank that sends. Default: any rank.
    group, tag
        As in `send`.

    Returns
    -------
    int
        The rank that has sent the array.

    Raises
    ------
    ValueError
        If the array that was sent has another shape or dtype. It can still be received, with an array of that shape
        and dtype.
    """
    work, members, source = _received(tensor, src, group, tag, "recv")
    work.wait()
    return members.ranks[source()]


def _received(
    tensor: Any, src: int | None, group: ProcessGroup | None, tag: int, function: str
) -> tuple[Work, ProcessGroup, Callable[[], int]]:
    members = resolved(group, function)
    array = native(tensor, function)
    position = None if src is None else members.position(src, function)
    if position == members.rank:
        raise ValueError(f"{function}: rank {src} is this rank itself; receive from another one")
    if members.size == 1:
        raise ValueError(f"{function}: this rank is the only one of its group; there is no other to receive from")
    _check_tag(tag, function)
    exchange = members.exchange_for_message(array, function)
    staged = Staged(exchange, function)
    others = tuple(rank for rank in members.ranks if rank != members.ranks[members.rank])
    key = members.calls.begin(f"{function}({like(array)}, src={src}, tag={tag})", others if src is None else (src,))
    try:
        request, source = exchange.recv(staged.write(tensor, array), position, tag)
    except BaseException:
        members.calls.end(key)
        raise
    return Work(Watched(request, members.calls, key, waits=False), staged.finish), members, source


def _check_tag(tag: Any, function: str) -> None:
    if type(tag) is not int or not 0 <= tag < 32768:
        raise ValueError(f"{function}: tag is an int from 0 to 32767, not {tag!r}")


def broadcast_object(obj: Any, src: int = 0, group: ProcessGroup | None = None) -> Any:
    """The value that rank ``src`` passes, on every rank.

    The value is sent as JSON, so a message cannot contain code. It is None, a boolean, a number, a string, or a list or
    dict of these. Keys of dicts are strings. A tuple arrives as a list.

    Parameters
    ----------
    obj : JSON-like value
        The value on rank ``src``. What other ranks pass is ignored.
    src : int
        The rank that sends: a rank of the world.
    group : ProcessGroup, optional
        Default: all ranks.

    Raises
    ------
    TypeError
        If the value cannot be sent. Every rank raises then.

    Examples
    --------
    >>> import rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.broadcast_object({"lr": 0.1, "sizes": [784, 10]})
    {'lr': 0.1, 'sizes': [784, 10]}
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "broadcast_object")
    members.check_member("broadcast_object")
    root = members.position(src, "broadcast_object")
    data = _encoded(obj, members) if members.rank == root else b""
    key = members.calls.begin(f"broadcast_object(src={src})")
    try:
        exchange = members.exchange
        compare(members, "broadcast_object", f"broadcast_object(src={src})", exchange.checked, False)
        return _decoded([exchange.broadcast_bytes(data, root)], "broadcast_object")[0]
    finally:
        members.calls.end(key)


def all_gather_object(obj: Any, group: ProcessGroup | None = None) -> list[Any]:
    """The values that all ranks pass, as a list in the order of the ranks, on every rank.

    The values are those of `broadcast_object`, which also has the errors.

    Examples
    --------
    >>> import rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.all_gather_object({"correct": 97})
    [{'correct': 97}]
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "all_gather_object")
    members.check_member("all_gather_object")
    data = _encoded(obj, members)
    key = members.calls.begin("all_gather_object()")
    try:
        exchange = members.exchange
        compare(members, "all_gather_object", "all_gather_object()", exchange.checked, False)
        return _decoded(exchange.gather_bytes(data), "all_gather_object")
    finally:
        members.calls.end(key)


def _encoded(obj: Any, members: ProcessGroup) -> bytes:
    """A value as JSON; a refusal is sent in its place, so that no rank waits for the one that is wrong."""
    import json  # here, so that `import rustorch` stays fast

    try:
        _check_keys(obj)
        return b"v" + json.dumps(obj).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return b"e" + f"rank {members.ranks[members.rank]} passed {type(obj).__name__}: {error}".encode()


def _check_keys(obj: Any) -> None:
    if isinstance(obj, dict):
        for key, value in obj.items():
            if not isinstance(key, str):
                raise TypeError(f"keys of dicts must be strings, not {key!r} of type {type(key).__name__}")
            _check_keys(value)
    elif isinstance(obj, (list, tuple)):
        for value in obj:
            _check_keys(value)


def _decoded(messages: list[bytes], function: str) -> list[Any]:
    import json

    refused = [message[1:].decode() for message in messages if message[:1] == b"e"]
    if refused:
        raise TypeError(
            f"{function}: only None, booleans, numbers, strings, and lists and dicts of these are sent ({refused[0]}); "
            f"send arrays with broadcast or all_gather"
        )
    return [json.loads(message[1:]) for message in messages]
