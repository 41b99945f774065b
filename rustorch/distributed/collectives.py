"""Collectives in place on one array: all_reduce, broadcast, reduce, and those whose parts lie in one array."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..backends import Array, of
from .arguments import Staged, like, native
from .calls import Watched
from .checks import compare
from .exchange import Exchange
from .group import ProcessGroup, resolved
from .reduce_op import ReduceOp, reduction
from .work import Request, Work

if TYPE_CHECKING:
    from ..variable import Variable

__all__ = [
    "all_gather_into_tensor", "all_reduce", "all_to_all_single", "barrier", "broadcast", "reduce",
    "reduce_scatter_tensor",
]  # fmt: skip


def run(
    group: ProcessGroup,
    exchange: Exchange,
    function: str,
    details: str,
    async_op: bool,
    start: Callable[[], Request],
    finish: Callable[[], None] | None = None,
) -> Work | None:
    """Compare the calls of all ranks, start an exchange, and wait for it unless ``async_op``."""
    text = f"{function}({details}{', async_op=True' if async_op else ''})"
    key = group.calls.begin(text)
    try:
        compare(group, function, text, exchange.checked, async_op)
        request = start()
    except BaseException:
        group.calls.end(key)
        raise
    work = Work(Watched(request, group.calls, key, waits=not async_op), finish)
    if async_op:
        return work
    work.wait()
    return None


def all_reduce(
    tensor: Variable | Array, op: str = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Replace an array with its sum (or another reduction) over all ranks.

    Parameters
    ----------
    tensor : Variable or native array
        The same shape and dtype on every rank. It is changed in place; nothing is recorded for gradients.
    op : str
        A reduction of `ReduceOp`.
    group : ProcessGroup, optional
        Default: all ranks.
    async_op : bool
        Return at once, with a handle whose ``wait`` ends the exchange. The same on all ranks.

    Returns
    -------
    Work or None
        The handle, with ``async_op``.

    Raises
    ------
    ValueError
        If the ranks call different functions or their arrays differ in shape or dtype (every rank raises then, and
        nothing has been exchanged); if the array is not contiguous; if this rank is not in the group.
    RuntimeError
        If there is no process group, or a gradient would be lost.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> x = rustorch.asarray([1.0, 2.0])
    >>> dist.all_reduce(x)
    >>> x
    Variable([1., 2.])
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "all_reduce")
    array = native(tensor, "all_reduce")
    name = reduction(op, array, "all_reduce")
    exchange = members.exchange_for(array, "all_reduce")
    staged = Staged(exchange, "all_reduce")
    here = staged.write(tensor, array)
    operation = exchanged(name, staged, here, members.size)

    def start() -> Request:
        return exchange.all_reduce(here, operation)

    return run(members, exchange, "all_reduce", f"{like(array)}, {name}", async_op, start, staged.finish)


def exchanged(name: str, staged: Staged, output: Array | None, size: int) -> str:
    """The reduction that the exchange makes. For an average it is the sum; ``output``, if any, is divided after it."""
    if name != "avg":
        return name

    def divide(array: Array) -> None:
        backend = of(array)
        assert backend is not None
        with backend.guard(array):
            array /= size

    if size > 1 and output is not None:
        staged.then(lambda: divide(output))
    return "sum"


def reduce(
    tensor: Variable | Array,
    dst: int,
    op: str = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Replace rank ``dst``'s array with the reduction over all ranks. The other ranks' arrays do not change.

    ``dst`` is a rank of the world, also with ``group``. Other parameters, returned handle and errors are those of
    `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.reduce(rustorch.ones(2), dst=0)
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "reduce")
    array = native(tensor, "reduce")
    name = reduction(op, array, "reduce")
    exchange = members.exchange_for(array, "reduce")
    root = members.position(dst, "reduce")
    staged = Staged(exchange, "reduce")
    receives = members.rank == root
    here = staged.write(tensor, array) if receives else staged.read(array)
    operation = exchanged(name, staged, here if receives else None, members.size)

    def start() -> Request:
        return exchange.reduce(here, root, operation)

    return run(members, exchange, "reduce", f"{like(array)}, {name}, dst={dst}", async_op, start, staged.finish)


def broadcast(
    tensor: Variable | Array, src: int, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Replace every rank's array with that of rank ``src``.

    ``src`` is a rank of the world, also with ``group``. Other parameters, returned handle and errors are those of
    `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.broadcast(rustorch.ones(2), src=0)
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "broadcast")
    array = native(tensor, "broadcast")
    exchange = members.exchange_for(array, "broadcast")
    root = members.position(src, "broadcast")
    staged = Staged(exchange, "broadcast")
    here = staged.read(array) if members.rank == root else staged.write(tensor, array)

    def start() -> Request:
        return exchange.broadcast(here, root)

    return run(members, exchange, "broadcast", f"{like(array)}, src={src}", async_op, start, staged.finish)


def all_gather_into_tensor(
    output_tensor: Variable | Array,
    input_tensor: Variable | Array,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Write the arrays of all ranks into one, in the order of the ranks.

    Parameters
    ----------
    output_tensor : Variable or native array
        It has as many elements as the arrays of all ranks: shape (size * n, ...) or (size, n, ...) for inputs of shape
        (n, ...).
    input_tensor : Variable or native array
        This rank's array, of the same dtype.
    group, async_op
        As in `all_reduce`, which also has the errors.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> out = rustorch.zeros(dist.get_world_size() * 2)
    >>> dist.all_gather_into_tensor(out, rustorch.ones(2))
    >>> dist.destroy_process_group()
    """
    function = "all_gather_into_tensor"
    members = resolved(group, function)
    array, output = (
        native(input_tensor, function, "input_tensor", False),
        native(output_tensor, function, "output_tensor"),
    )
    parts(output, array, members.size, function, "output_tensor", "input_tensor")
    exchange = members.exchange_for(array, function)
    staged = Staged(exchange, function)
    here, there = staged.read(array), staged.write(output_tensor, output)

    def start() -> Request:
        return exchange.all_gather(there, here)

    return run(members, exchange, function, like(array), async_op, start, staged.finish)


def reduce_scatter_tensor(
    output: Variable | Array,
    input: Variable | Array,
    op: str = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce an array over all ranks, and give each rank its part of the result.

    Parameters
    ----------
    output : Variable or native array
        This rank's part.
    input : Variable or native array
        As many elements as the outputs of all ranks, in the order of the ranks; the same dtype.
    op, group, async_op
        As in `all_reduce`, which also has the errors.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> part = rustorch.zeros(2)
    >>> dist.reduce_scatter_tensor(part, rustorch.ones(dist.get_world_size() * 2))
    >>> dist.destroy_process_group()
    """
    function = "reduce_scatter_tensor"
    members = resolved(group, function)
    values, part = native(input, function, "input", False), native(output, function, "output")
    parts(values, part, members.size, function, "input", "output")
    name = reduction(op, values, function)
    exchange = members.exchange_for(values, function)
    staged = Staged(exchange, function)
    here, there = staged.read(values), staged.write(output, part)
    operation = exchanged(name, staged, there, members.size)

    def start() -> Request:
        return exchange.reduce_scatter(there, here, operation)

    return run(members, exchange, function, f"{like(part)}, {name}", async_op, start, staged.finish)


def all_to_all_single(
    output: Variable | Array, input: Variable | Array, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Send part r of ``input`` to rank r, and write what comes from rank r into part r of ``output``.

    Both have the same shape and dtype, and a number of elements that the number of ranks divides. The other parameters
    and the errors are those of `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.all_to_all_single(rustorch.zeros(2), rustorch.ones(2))
    >>> dist.destroy_process_group()
    """
    function = "all_to_all_single"
    members = resolved(group, function)
    values, out = native(input, function, "input", False), native(output, function, "output")
    if like(values) != like(out) or count(values) % members.size:
        raise ValueError(
            f"{function}: input is {like(values)} and output is {like(out)}; they must be alike, and the number of "
            f"ranks, {members.size}, must divide the number of elements"
        )
    exchange = members.exchange_for(values, function)
    staged = Staged(exchange, function)
    here, there = staged.read(values), staged.write(output, out)

    def start() -> Request:
        return exchange.all_to_all(there, here)

    return run(members, exchange, function, like(values), async_op, start, staged.finish)


def barrier(group: ProcessGroup | None = None, async_op: bool = False) -> Work | None:
    """Wait until all ranks have come here.

    Examples
    --------
    >>> import rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.barrier()
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "barrier")
    members.check_member("barrier")
    exchange = members.exchange
    return run(members, exchange, "barrier", "", async_op, exchange.barrier)


def count(array: Any) -> int:
    """The number of elements."""
    total = 1
    for n in array.shape:
        total *= n
    return total


def parts(whole: Array, part: Array, size: int, function: str, whole_name: str, part_name: str) -> None:
    """Check that an array has the elements of the parts of all ranks."""
    backend, other = of(whole), of(part)
    assert backend is not None and other is not None
    if backend is not other or backend.dtype_of(whole) != other.dtype_of(part):
        raise ValueError(
            f"{function}: {whole_name} is {like(whole)} on {backend.device_of(whole)!r}, and {part_name} is "
            f"{like(part)} on {other.device_of(part)!r}; both need one dtype and one device"
        )
    if count(whole) != size * count(part):
        raise ValueError(
            f"{function}: {whole_name} has shape {tuple(whole.shape)}, and {size} ranks with a {part_name} of shape "
            f"{tuple(part.shape)} each need {size * count(part)} elements there"
        )
