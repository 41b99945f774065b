"""Arrays joined along an axis: concat and stack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from ..autograd.check import adopt, common_backend, explained
from ..autograd.graph import Value
from ..autograd.primitive import Primitive
from ..backends import of
from ..backends.convert import nests
from ..backends.promotion import promoted
from .arguments import one_axis
from .data_type import astype

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Namespace
    from ..variable import Variable

__all__ = ["concat", "stack"]


# -- primitives: one for each number of arrays -------------------------------------------------------------------------
def _split(xp: Namespace, g: Array, axis: int, sizes: tuple[int, ...]) -> list[Array]:
    """The pieces that were joined. They are views, if the library has views."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(g[(slice(None),) * axis + (slice(start, start + size), ...)])
        start += size
    return pieces


@cache
def _concat(n: int) -> Primitive:
    names = tuple([f"arrays[{i}]" for i in range(n)])
    return Primitive(
        "concat",
        lambda xp, *args: xp.concat(list(args[:n]), axis=args[n]),
        register=False,
        joint=lambda xp, g, axis, sizes: _split(xp, g, axis, sizes),
        signature=(names, ("axis", "sizes")),
    )


@cache
def _stack(n: int) -> Primitive:
    names = tuple([f"arrays[{i}]" for i in range(n)])
    return Primitive(
        "stack",
        lambda xp, *args: xp.stack(list(args[:n]), axis=args[n]),
        register=False,
        joint=lambda xp, g, axis: [g[(slice(None),) * axis + (i, ...)] for i in range(g.shape[axis])],
        signature=(names, ("axis",)),
    )


# -- functions ---------------------------------------------------------------------------------------------------------
def _variables(arrays: Sequence[ArrayLike], name: str) -> list[Variable]:
    """The arrays as Variables of one dtype, on one device."""
    if not nests(type(arrays)) and not isinstance(arrays, Value) and of(arrays) is None:
        raise TypeError(f"{name} takes a list or tuple of arrays, not {arrays!r} of type {type(arrays).__name__}")
    if isinstance(arrays, Value) or not len(arrays):
        raise ValueError(f"{name} takes a list or tuple of at least one array")
    variables = [adopt(x, name, arrays) for x in arrays]
    common_backend(name, variables)
    if len({x.dtype for x in variables}) > 1:
        target = variables[0].dtype
        for x in variables[1:]:
            target = promoted(target, x.dtype)
        variables = [astype(x, target, copy=False) for x in variables]
    return variables


def concat(arrays: Sequence[ArrayLike], /, *, axis: int | None = 0) -> Variable:
    """Join arrays along one of their axes.

    Parameters
    ----------
    arrays : sequence of Variables or arrays
        Their shapes are equal, except along the axis. Their dtypes are promoted.
    axis : int or None
        None: flatten the arrays first.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If the shapes differ in another axis, or there is no array.
    """
    variables = _variables(arrays, "concat")
    if axis is None:
        variables, axis = [x.reshape(x.size) for x in variables], 0
    shapes = [x.shape for x in variables]
    axis = one_axis(axis, len(shapes[0]))
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        raise explained(ValueError(f"concat: shapes {', '.join(map(str, shapes))} differ in more than axis {axis}"))
    return _concat(len(variables))(*variables, axis, tuple([s[axis] for s in shapes]))


def stack(arrays: Sequence[ArrayLike], /, *, axis: int = 0) -> Variable:
    """Join arrays of one shape along a new axis.

    Parameters
    ----------
    arrays : sequence of Variables or arrays
        All have the same shape. Their dtypes are promoted.
    axis : int
        Where the new axis is in the result.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If the shapes differ, or there is no array.
    """
    variables = _variables(arrays, "stack")
    shapes = [x.shape for x in variables]
    if len(set(shapes)) > 1:
        raise explained(ValueError(f"stack: shapes {', '.join(map(str, shapes))} differ"))
    return _stack(len(variables))(*variables, one_axis(axis, len(shapes[0]) + 1))
