"""Collectives whose parts are a list of arrays, one for each rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backends import Array, of
from .arguments import Staged, like, native
from .collectives import exchanged, run
from .exchange import Exchange
from .group import ProcessGroup, resolved
from .reduce_op import ReduceOp, reduction
from .work import Request, Work

if TYPE_CHECKING:
    from ..variable import Variable

__all__ = ["all_gather", "all_to_all", "gather", "reduce_scatter", "scatter"]


def _natives(
    tensors: Any, array: Array | None, size: int, function: str, name: str, written: bool
) -> tuple[list[Array], Array]:
    """The native arrays of a list with one for each rank, all like ``array`` (by default, like the first one)."""
    if not isinstance(tensors, (list, tuple)) or len(tensors) != size:
        given = f"{len(tensors)} of them" if isinstance(tensors, (list, tuple)) else type(tensors).__name__
        raise ValueError(
            f"{function}: {name} must be a list of {size} arrays, one for each rank of the group; not {given}"
        )
    arrays = [native(x, function, f"{name}[{i}]", written) for i, x in enumerate(tensors)]
    pattern = arrays[0] if array is None else array
    for i, other in enumerate(arrays):
        if like(other) != like(pattern) or of(other) is not of(pattern):
            raise ValueError(
                f"{function}: {name}[{i}] is {like(other)}, and the ranks exchange arrays of {like(pattern)}"
            )
    return arrays, pattern


class _Parts:
    """A list of arrays as one array with a part for each rank, in the memory that the exchange works on."""

    def __init__(
        self, exchange: Exchange, tensors: Sequence[Any], arrays: Sequence[Array], staged: Staged, reads: bool
    ):
        backend = of(arrays[0])
        assert backend is not None
        xp = backend.xp
        with backend.guard(arrays[0]):
            flat = [xp.reshape(array, (-1,)) for array in arrays]
            if reads:
                joined = xp.concat(flat)
            else:
                joined = xp.empty_like(xp.concat(flat))
        self.whole = staged.read(joined)
        if not reads:
            on_host = exchange.on_host or not backend.mutable
            if on_host:
                self.whole = backend.to_numpy(joined).copy()

            def spread() -> None:
                whole = backend.from_numpy(self.whole, backend.device_of(arrays[0])) if on_host else joined
                parts = xp.reshape(whole, (len(arrays), -1))
                for tensor, array, i in zip(tensors, arrays, range(len(arrays)), strict=True):
                    put = xp.reshape(parts[i, ...], array.shape)
                    if backend.mutable:
                        with backend.guard(array):
                            array[...] = put
                        staged.wrote(array)
                    else:
                        tensor.data = put

            staged.then(spread)


def all_gather(
    tensor_list: Sequence[Variable | Array],
    tensor: Variable | Array,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Write the array of rank r into ``tensor_list[r]``, on all ranks.

    Parameters
    ----------
    tensor_list : list of Variable or native array
        One for each rank, all of the shape and dtype of ``tensor``.
    tensor : Variable or native array
        This rank's array.
    group, async_op
        As in `all_reduce`, which also has the errors.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> found = [rustorch.zeros(2) for _ in range(dist.get_world_size())]
    >>> dist.all_gather(found, rustorch.ones(2))
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "all_gather")
    array = native(tensor, "all_gather", written=False)
    arrays, _ = _natives(tensor_list, array, members.size, "all_gather", "tensor_list", True)
    exchange = members.exchange_for(array, "all_gather")
    staged = Staged(exchange, "all_gather")
    here, there = staged.read(array), _Parts(exchange, tensor_list, arrays, staged, False).whole

    def start() -> Request:
        return exchange.all_gather(there, here)

    return run(members, exchange, "all_gather", like(array), async_op, start, staged.finish)


def reduce_scatter(
    output: Variable | Array,
    input_list: Sequence[Variable | Array],
    op: str = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce ``input_list[r]`` over all ranks, and write the result into ``output`` on rank r.

    Parameters
    ----------
    output : Variable or native array
    input_list : list of Variable or native array
        One for each rank, all of the shape and dtype of ``output``.
    op, group, async_op
        As in `all_reduce`, which also has the errors.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.reduce_scatter(rustorch.zeros(2), [rustorch.ones(2) for _ in range(dist.get_world_size())])
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "reduce_scatter")
    part = native(output, "reduce_scatter", "output")
    arrays, _ = _natives(input_list, part, members.size, "reduce_scatter", "input_list", False)
    name = reduction(op, part, "reduce_scatter")
    exchange = members.exchange_for(part, "reduce_scatter")
    staged = Staged(exchange, "reduce_scatter")
    here, there = _Parts(exchange, input_list, arrays, staged, True).whole, staged.write(output, part)
    operation = exchanged(name, staged, there, members.size)

    def start() -> Request:
        return exchange.reduce_scatter(there, here, operation)

    return run(members, exchange, "reduce_scatter", f"{like(part)}, {name}", async_op, start, staged.finish)


def gather(
    tensor: Variable | Array,
    gather_list: Sequence[Variable | Array] | None = None,
    dst: int = 0,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Write the array of rank r into ``gather_list[r]`` on rank ``dst``.

    Parameters
    ----------
    tensor : Variable or native array
        This rank's array.
    gather_list : list of Variable or native array, optional
        On rank ``dst``: one for each rank. None on the others.
    dst : int
        The rank that receives: a rank of the world.
    group, async_op
        As in `all_reduce`, which also has the errors.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> found = [rustorch.zeros(2) for _ in range(dist.get_world_size())] if dist.get_rank() == 0 else None
    >>> dist.gather(rustorch.ones(2), found, dst=0)
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "gather")
    array = native(tensor, "gather", written=False)
    exchange = members.exchange_for(array, "gather")
    root = members.position(dst, "gather")
    staged = Staged(exchange, "gather")
    there = None
    if members.rank == root:
        arrays, _ = _natives(gather_list, array, members.size, "gather", "gather_list", True)
        there = _Parts(exchange, gather_list or (), arrays, staged, False).whole
    elif gather_list:
        raise ValueError(f"gather: gather_list is for rank {dst}, which receives; pass None on the other ranks")
    here = staged.read(array)

    def start() -> Request:
        return exchange.gather(there, here, root)

    return run(members, exchange, "gather", f"{like(array)}, dst={dst}", async_op, start, staged.finish)


def scatter(
    tensor: Variable | Array,
    scatter_list: Sequence[Variable | Array] | None = None,
    src: int = 0,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Write ``scatter_list[r]`` of rank ``src`` into ``tensor`` on rank r.

    Parameters
    ----------
    tensor : Variable or native array
        The array to write into.
    scatter_list : list of Variable or native array, optional
        On rank ``src``: one for each rank. None on the others.
    src : int
        The rank that sends: a rank of the world.
    group, async_op
        As in `all_reduce`, which also has the errors.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> values = [rustorch.ones(2) for _ in range(dist.get_world_size())] if dist.get_rank() == 0 else None
    >>> dist.scatter(rustorch.zeros(2), values, src=0)
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "scatter")
    array = native(tensor, "scatter")
    exchange = members.exchange_for(array, "scatter")
    root = members.position(src, "scatter")
    staged = Staged(exchange, "scatter")
    there = None
    if members.rank == root:
        arrays, _ = _natives(scatter_list, array, members.size, "scatter", "scatter_list", False)
        there = _Parts(exchange, scatter_list or (), arrays, staged, True).whole
    elif scatter_list:
        raise ValueError(f"scatter: scatter_list is for rank {src}, which sends; pass None on the other ranks")
    here = staged.write(tensor, array)

    def start() -> Request:
        return exchange.scatter(here, there, root)

    return run(members, exchange, "scatter", f"{like(array)}, src={src}", async_op, start, staged.finish)


def all_to_all(
    output_tensor_list: Sequence[Variable | Array],
    input_tensor_list: Sequence[Variable | Array],
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Send ``input_tensor_list[r]`` to rank r, and write what comes from rank r into ``output_tensor_list[r]``.

    All arrays have one shape and dtype. The other parameters and the errors are those of `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> size = dist.get_world_size()
    >>> dist.all_to_all([rustorch.zeros(2) for _ in range(size)], [rustorch.ones(2) for _ in range(size)])
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "all_to_all")
    inputs, array = _natives(input_tensor_list, None, members.size, "all_to_all", "input_tensor_list", False)
    outputs, _ = _natives(output_tensor_list, array, members.size, "all_to_all", "output_tensor_list", True)
    exchange = members.exchange_for(array, "all_to_all")
    staged = Staged(exchange, "all_to_all")
    here = _Parts(exchange, input_tensor_list, inputs, staged, True).whole
    there = _Parts(exchange, output_tensor_list, outputs, staged, False).whole

    def start() -> Request:
        return exchange.all_to_all(there, here)

    return run(members, exchange, "all_to_all", like(array), async_op, start, staged.finish)
