"""Collectives with gradients of every order: each returns a new Variable, and backward runs the mirrored collective.

Every rank differentiates a value of its own. The gradients that the ranks get are those of the sum of these values: so
`all_gather` and `reduce_scatter` mirror each other, and so do `broadcast` and `reduce`, and `gather` and `scatter`;
`all_reduce` and `all_to_all` mirror themselves. Backward exchanges in the same order on every rank, if all ranks
compute the same things, and if an input requires grad on all of them or on none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.check import adopt
from .group import ProcessGroup, resolved
from .mirrored import ALL_GATHER, ALL_REDUCE, ALL_TO_ALL, BROADCAST, GATHER, REDUCE, REDUCE_SCATTER, SCATTER
from .reduce_op import ReduceOp, reduction

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from ..variable import Variable

__all__ = [
    "all_gather", "all_gather_into_tensor", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather",
    "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter",
]  # fmt: skip


def _checked(x: Any, function: str, group: ProcessGroup | None) -> tuple[Variable, ProcessGroup]:
    """The input as a Variable, and the group."""
    return adopt(x, function), resolved(group, function)


def _first_size(x: Variable, function: str, group: ProcessGroup) -> None:
    """Raise ValueError unless the number of ranks divides the first size."""
    if not x.ndim or x.shape[0] % group.size:
        raise ValueError(
            f"{function}: the first size is divided among {group.size} ranks, and an array of shape {x.shape} cannot be"
        )


def _split(x: Variable, size: int) -> Variable:
    """(ranks * n, ...) -> (ranks, n, ...)"""
    return ops.reshape(x, (size, x.shape[0] // size, *x.shape[1:]))


def _joined(x: Variable) -> Variable:
    """(ranks, n, ...) -> (ranks * n, ...)"""
    return ops.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _stacked(tensors: Any, function: str, group: ProcessGroup) -> Variable:
    """A list with a value for each rank as one Variable."""
    if not isinstance(tensors, (list, tuple)) or len(tensors) != group.size:
        given = f"{len(tensors)} of them" if isinstance(tensors, (list, tuple)) else type(tensors).__name__
        raise ValueError(f"{function}: a list of {group.size} arrays is needed, one for each rank; not {given}")
    values = [adopt(x, function, tensors) for x in tensors]
    for i, value in enumerate(values):
        if value.shape != values[0].shape or value.dtype != values[0].dtype:
            raise ValueError(
                f"{function}: all arrays have one shape and dtype; the first one is {values[0].dtype} "
                f"{values[0].shape}, and number {i} is {value.dtype} {value.shape}"
            )
    return ops.stack(values)


def all_reduce(tensor: ArrayLike, op: str = ReduceOp.SUM, group: ProcessGroup | None = None) -> Variable:
    """The sum, or another reduction, over all ranks, on every rank.

    Parameters
    ----------
    tensor : Variable or array
        The same shape and dtype on every rank.
    op : str
        A reduction of `ReduceOp`. For ``MIN``, ``MAX`` and ``PRODUCT``, each rank needs memory for the arrays of all
        ranks.
    group : ProcessGroup, optional
        Default: all ranks.

    Returns
    -------
    Variable, of the same shape and dtype

    Raises
    ------
    RuntimeError
        If there is no process group.
    ValueError
        If the ranks' shapes or dtypes differ, if there is no such reduction for the dtype, or if this rank is not in
        the group.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    >>> functional.all_reduce(x * x).sum().backward()
    >>> x.grad
    array([2., 4.], dtype=float32)
    >>> dist.destroy_process_group()
    """
    x, members = _checked(tensor, "all_reduce", group)
    name = reduction(op, x._native, "all_reduce")
    if name in ("sum", "avg"):
        return ALL_REDUCE.call(x, name, members)
    gathered: Variable = ALL_GATHER.call(x, members)
    reduce_first = {"product": ops.prod, "min": ops.min, "max": ops.max}[name]
    out: Variable = ops.astype(reduce_first(gathered, axis=0), x.dtype, copy=False)
    return out


def broadcast(tensor: ArrayLike, src: int, group: ProcessGroup | None = None) -> Variable:
    """The array of rank ``src``, on every rank. In backward, rank ``src`` gets the sum of the gradients of all ranks.

    The other ranks pass an array that gives only shape, dtype and ``requires_grad``. Its gradient is zero. Errors are
    those of `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> functional.broadcast(rustorch.ones(2), src=0)
    Variable([1., 1.])
    >>> dist.destroy_process_group()
    """
    x, members = _checked(tensor, "broadcast", group)
    members.position(src, "broadcast")
    return BROADCAST.call(x, src, members)


def reduce(tensor: ArrayLike, dst: int, op: str = ReduceOp.SUM, group: ProcessGroup | None = None) -> Variable:
    """The sum or the average over all ranks on rank ``dst``, and zeros on the other ranks.

    The gradient on every rank is that of rank ``dst``. Errors are those of `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> total = functional.reduce(rustorch.ones(2), dst=0)
    >>> dist.destroy_process_group()
    """
    x, members = _checked(tensor, "reduce", group)
    members.position(dst, "reduce")
    return REDUCE.call(x, dst, _linear(op, x, "reduce"), members)


def _linear(op: str, x: Variable, function: str) -> str:
    """The name of a reduction, which is a sum or an average."""
    name: str = reduction(op, x._native, function)
    if name not in ("sum", "avg"):
        raise ValueError(f"{function}: gradients are for ReduceOp.SUM and AVG; all_reduce has those of {name!r}")
    return name


def all_gather(tensor: ArrayLike, group: ProcessGroup | None = None) -> tuple[Variable, ...]:
    """The arrays of all ranks, on every rank: number r is that of rank r.

    The gradient of an array is the sum of its gradients on all ranks. Errors are those of `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> len(functional.all_gather(rustorch.ones(2))) == dist.get_world_size()
    True
    >>> dist.destroy_process_group()
    """
    x, members = _checked(tensor, "all_gather", group)
    return tuple(ops.unstack(ALL_GATHER.call(x, members)))


def all_gather_into_tensor(tensor: ArrayLike, group: ProcessGroup | None = None) -> Variable:
    """The arrays of all ranks as one: (n, ...) on each rank -> (ranks * n, ...) on every rank.

    Errors are those of `all_reduce`. An array without dimensions is a ValueError, too.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> functional.all_gather_into_tensor(rustorch.ones((2, 3))).shape == (2 * dist.get_world_size(), 3)
    True
    >>> dist.destroy_process_group()
    """
    x, members = _checked(tensor, "all_gather_into_tensor", group)
    if not x.ndim:
        raise ValueError("all_gather_into_tensor: an array of shape () has no first size to join; use all_gather")
    return _joined(ALL_GATHER.call(x, members))


def reduce_scatter(
    input_list: Sequence[ArrayLike], op: str = ReduceOp.SUM, group: ProcessGroup | None = None
) -> Variable:
    """The sum or the average over all ranks of ``input_list[r]``, on rank r.

    Parameters
    ----------
    input_list : list of Variable or array
        One for each rank, all of one shape and dtype.
    op, group
        As in `all_reduce`, which also has the errors.

    Returns
    -------
    Variable, of the shape of one of them

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> functional.reduce_scatter([rustorch.ones(2)] * dist.get_world_size()).shape
    (2,)
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "reduce_scatter")
    x = _stacked(input_list, "reduce_scatter", members)
    return REDUCE_SCATTER.call(x, _linear(op, x, "reduce_scatter"), members)


def reduce_scatter_tensor(input: ArrayLike, op: str = ReduceOp.SUM, group: ProcessGroup | None = None) -> Variable:
    """This rank's part of the sum or the average over all ranks: (ranks * n, ...) -> (n, ...).

    Errors are those of `all_reduce`. If the number of ranks does not divide the first size, it is a ValueError, too.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> functional.reduce_scatter_tensor(rustorch.ones((2 * dist.get_world_size(), 3))).shape
    (2, 3)
    >>> dist.destroy_process_group()
    """
    x, members = _checked(input, "reduce_scatter_tensor", group)
    _first_size(x, "reduce_scatter_tensor", members)
    return REDUCE_SCATTER.call(_split(x, members.size), _linear(op, x, "reduce_scatter_tensor"), members)


def gather(tensor: ArrayLike, dst: int = 0, group: ProcessGroup | None = None) -> tuple[Variable, ...]:
    """The arrays of all ranks on rank ``dst``, and as many arrays of zeros on the other ranks.

    Errors are those of `all_reduce`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> len(functional.gather(rustorch.ones(2), dst=0)) == dist.get_world_size()
    True
    >>> dist.destroy_process_group()
    """
    x, members = _checked(tensor, "gather", group)
    members.position(dst, "gather")
    return tuple(ops.unstack(GATHER.call(x, dst, members)))


def scatter(tensors: Sequence[ArrayLike], src: int = 0, group: ProcessGroup | None = None) -> Variable:
    """``tensors[r]`` of rank ``src``, on rank r.

    The other ranks pass a list, too, which gives shape, dtype and ``requires_grad``; its gradients are zero. Errors are
    those of `reduce_scatter`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> functional.scatter([rustorch.ones(2)] * dist.get_world_size())
    Variable([1., 1.])
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "scatter")
    members.position(src, "scatter")
    return SCATTER.call(_stacked(tensors, "scatter", members), src, members)


def all_to_all(tensors: Sequence[ArrayLike], group: ProcessGroup | None = None) -> tuple[Variable, ...]:
    """Send ``tensors[r]`` to rank r, and return the arrays that come from all ranks: number r is from rank r.

    Errors are those of `reduce_scatter`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> received = functional.all_to_all([rustorch.ones(2)] * dist.get_world_size())
    >>> dist.destroy_process_group()
    """
    members = resolved(group, "all_to_all")
    return tuple(ops.unstack(ALL_TO_ALL.call(_stacked(tensors, "all_to_all", members), members)))


def all_to_all_single(input: ArrayLike, group: ProcessGroup | None = None) -> Variable:
    """`all_to_all` with the arrays one after the other in one: (ranks * n, ...) -> (ranks * n, ...).

    Errors are those of `reduce_scatter_tensor`.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.distributed import functional
    >>> dist.init_process_group()
    >>> functional.all_to_all_single(rustorch.ones(dist.get_world_size())).shape == (dist.get_world_size(),)
    True
    >>> dist.destroy_process_group()
    """
    x, members = _checked(input, "all_to_all_single", group)
    _first_size(x, "all_to_all_single", members)
    return _joined(ALL_TO_ALL.call(_split(x, members.size), members))
