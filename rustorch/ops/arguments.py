"""Arguments brought to one form: axes, shapes, integers and numbers; errors that name the function."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

_NUMBERS = frozenset((float, int, bool, complex))


def axes_of(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes as a tuple of non-negative integers; None means all.

    Raises
    ------
    IndexError
        If one is out of range.
    ValueError
        If one is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple([one_axis(a, ndim) for a in given])
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} names an axis twice")
    return axes


def one_axis(axis: Any, ndim: int, name: str = "") -> int:
    """The axis as a non-negative integer. Raises IndexError (with the range, and the function's name) if there is no
    such axis.
    """
    i = index(axis)
    if not -ndim <= i < ndim:
        raise IndexError(f"{name}{name and ': '}axis {i} is out of range for an array of {ndim} dimensions")
    return i % ndim


def integer(name: str, what: str, value: Any) -> int:
    """An integer, of Python's or of another library. Raises TypeError, with the names of the function and the
    argument.
    """
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"{name}: {what} is an integer, not {value!r} of type {type(value).__name__}") from None


def number(name: str, what: str, value: Any) -> Any:
    """A real number of Python's, of Python's or of another library. Raises TypeError, with the names of function and
    argument.
    """
    if type(value) in _NUMBERS:
        return value
    try:
        return float(value)
    except TypeError:
        raise TypeError(f"{name}: {what} is a number, not {value!r} of type {type(value).__name__}") from None


def shape_of(shape: Any, name: str = "") -> tuple[int, ...]:
    """A shape, given as an integer or a sequence of them, as a tuple. Raises TypeError for anything else."""
    try:
        return tuple([index(n) for n in shape]) if isinstance(shape, (tuple, list, range)) else (index(shape),)
    except TypeError:
        raise TypeError(f"{name}{name and ': '}a shape is an integer or a tuple of integers, not {shape!r}") from None


def sizes_of(name: str, shape: Any) -> tuple[int, ...]:
    """The shape of something new. Raises ValueError if a size is negative."""
    sizes = shape_of(shape, name)
    if any(n < 0 for n in sizes):
        raise ValueError(f"{name}: sizes are not negative, as they are in {sizes}")
    return sizes
