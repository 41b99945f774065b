"""The collectives as primitives: their rules are the mirrored collectives, so that gradients of every order exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..autograd.graph import Value, make
from ..autograd.primitive import Primitive
from ..backends import Array, device_of, of
from . import collectives, lists

if TYPE_CHECKING:
    from ..variable import Variable
    from .group import ProcessGroup

__all__ = [
    "ALL_GATHER", "ALL_REDUCE", "ALL_TO_ALL", "BROADCAST", "GATHER", "REDUCE", "REDUCE_SCATTER", "SCATTER",
    "of_all_ranks", "sum_over_ranks",
]  # fmt: skip


# -- on native arrays, out of place ------------------------------------------------------------------------------------
# A Variable is exchanged, and not its array: an array of JAX cannot be written into, so that the Variable gets another.
def _copied(array: Array) -> Variable:
    """The elements in a contiguous array of their own, (n,)."""
    xp = of(array).xp  # type: ignore[union-attr]
    return make(xp.asarray(xp.reshape(array, (-1,)), copy=True))


def _new(array: Array, shape: tuple[int, ...]) -> Variable:
    """An array of zeros with this shape, and with the dtype and device of another array."""
    return make(of(array).new("zeros", device_of(array), array.dtype, shape))  # type: ignore[union-attr]


def _shaped(value: Variable, shape: tuple[int, ...]) -> Array:
    """The array of a Variable, in this shape."""
    return of(value._native).xp.reshape(value._native, shape)  # type: ignore[union-attr]


def _all_reduce(xp: Any, x: Array, /, op: str, group: ProcessGroup) -> Array:
    out = _copied(x)
    collectives.all_reduce(out, op, group)
    return _shaped(out, x.shape)


def _broadcast(xp: Any, x: Array, /, src: int, group: ProcessGroup) -> Array:
    out = _copied(x)
    collectives.broadcast(out, src, group)
    return _shaped(out, x.shape)


def _reduce(xp: Any, x: Array, /, dst: int, op: str, group: ProcessGroup) -> Array:
    """The reduction on rank ``dst``, and zeros on the others."""
    out = _copied(x)
    collectives.reduce(out, dst, op, group)
    return _shaped(out, x.shape) if _is_here(group, dst) else _new(x, x.shape)._native


def _all_gather(xp: Any, x: Array, /, group: ProcessGroup) -> Array:
    """(...) -> (ranks, ...)"""
    out = _new(x, (group.size, *x.shape))
    collectives.all_gather_into_tensor(out, _copied(x), group)
    return out._native


def _reduce_scatter(xp: Any, x: Array, /, op: str, group: ProcessGroup) -> Array:
    """(ranks, ...) -> (...)"""
    out = _new(x, x.shape[1:])
    collectives.reduce_scatter_tensor(out, _copied(x), op, group)
    return out._native


def _gather(xp: Any, x: Array, /, dst: int, group: ProcessGroup) -> Array:
    """(...) -> (ranks, ...): the arrays of all ranks on rank ``dst``, and zeros on the others."""
    parts = [_new(x, x.shape) for _ in range(group.size)]
    lists.gather(_shaped(_copied(x), x.shape), parts if _is_here(group, dst) else None, dst, group)
    return of(x).xp.stack([part._native for part in parts])  # type: ignore[union-attr]


def _scatter(xp: Any, x: Array, /, src: int, group: ProcessGroup) -> Array:
    """(ranks, ...) -> (...)"""
    out = _new(x, x.shape[1:])
    parts = [_shaped(_copied(x[i, ...]), x.shape[1:]) for i in range(group.size)] if _is_here(group, src) else None
    lists.scatter(out, parts, src, group)
    return out._native


def _all_to_all(xp: Any, x: Array, /, group: ProcessGroup) -> Array:
    """(ranks, ...) -> (ranks, ...)"""
    out = _new(x, x.shape)
    collectives.all_to_all_single(out, _shaped(_copied(x), x.shape), group)
    return out._native


def _is_here(group: ProcessGroup, rank: int) -> bool:
    """Whether this process is a rank of the world."""
    return group.rank >= 0 and group.ranks[group.rank] == rank


# -- with rules --------------------------------------------------------------------------------------------------------
def _primitive(name: str, forward: Callable[..., Array], rule: Callable[..., Any]) -> Primitive:
    """A collective as a primitive. It is not registered: it has no version for a namespace that traces."""
    primitive = Primitive(name, forward, register=False, x=rule)
    primitive.builtin = True  # every rule returns a new array
    return primitive


def _mirrored(primitive: Primitive, g: Any, *options: Any) -> Any:
    """Call a collective on a gradient: on a Variable if the gradient is differentiated again, else on its array."""
    return primitive.call(g, *options) if isinstance(g, Value) else primitive.forward(None, g, *options)


def _divided(g: Any, op: str, group: ProcessGroup) -> Any:
    """A gradient divided by the number of ranks, if the reduction was an average."""
    return g / group.size if op == "avg" and group.size > 1 else g


ALL_REDUCE: Primitive = _primitive(
    "all_reduce", _all_reduce, lambda xp, g, op, group: _mirrored(ALL_REDUCE, g, op, group)
)
BROADCAST: Primitive = _primitive(
    "broadcast", _broadcast, lambda xp, g, src, group: _mirrored(REDUCE, g, src, "sum", group)
)
REDUCE: Primitive = _primitive(
    "reduce", _reduce, lambda xp, g, dst, op, group: _divided(_mirrored(BROADCAST, g, dst, group), op, group)
)
ALL_GATHER: Primitive = _primitive(
    "all_gather", _all_gather, lambda xp, g, group: _mirrored(REDUCE_SCATTER, g, "sum", group)
)
REDUCE_SCATTER: Primitive = _primitive(
    "reduce_scatter",
    _reduce_scatter,
    lambda xp, g, op, group: _divided(_mirrored(ALL_GATHER, g, group), op, group),
)
GATHER: Primitive = _primitive("gather", _gather, lambda xp, g, dst, group: _mirrored(SCATTER, g, dst, group))
SCATTER: Primitive = _primitive("scatter", _scatter, lambda xp, g, src, group: _mirrored(GATHER, g, src, group))
ALL_TO_ALL: Primitive = _primitive("all_to_all", _all_to_all, lambda xp, g, group: _mirrored(ALL_TO_ALL, g, group))


def sum_over_ranks(x: Any, group: ProcessGroup) -> Any:
    """The sum over all ranks of a native array, or of a Variable with its gradient.

    Rules of other primitives call it.
    """
    return _mirrored(ALL_REDUCE, x, "sum", group)


def of_all_ranks(x: Any, group: ProcessGroup) -> Any:
    """The arrays of all ranks, (...) -> (ranks, ...), of a native array, or of a Variable with its gradient."""
    return _mirrored(ALL_GATHER, x, group)
