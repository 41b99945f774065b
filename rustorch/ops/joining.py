"""Arrays joined along an axis: concat and stack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from ..autograd.check import adopt, common_backend, explained
from ..autograd.graph import Value
from ..autograd.primitive import Primitive
from ..backends import of
from ..backends.convert import nests
from ..backends.promotion import promoted
from .arguments import one_axis
from .data_type import astype

__all__ = ["concat", "stack"]


def _split(xp: Any, g: Any, axis: int, sizes: tuple[int, ...]) -> list:
    """The pieces that were joined; views, where the library has views."""
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


def _joined(arrays: Sequence[Any], name: str) -> list:
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


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    """Arrays joined along an axis that they have (None: flattened first).

    Raises
    ------
    ValueError
        If they differ in another axis.
    """
    variables = _joined(arrays, "concat")
    if axis is None:
        variables, axis = [x.reshape(x.size) for x in variables], 0
    shapes = [x.shape for x in variables]
    axis = one_axis(axis, len(shapes[0]))
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        raise explained(ValueError(f"concat: shapes {', '.join(map(str, shapes))} differ in more than axis {axis}"))
    return _concat(len(variables))(*variables, axis, tuple([s[axis] for s in shapes]))


def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    variables = _joined(arrays, "stack")
    shapes = [x.shape for x in variables]
    if len(set(shapes)) > 1:
        raise explained(ValueError(f"stack: shapes {', '.join(map(str, shapes))} differ"))
    return _stack(len(variables))(*variables, one_axis(axis, len(shapes[0]) + 1))
