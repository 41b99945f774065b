"""What several chapters need: conjugates that cost nothing on real arrays, arguments brought to one form."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from ..backends.dtypes import float32, float64

_NUMBERS = frozenset((float, int, bool, complex))
#: Real dtypes by identity (a library has one object for each; two libraries' may hash alike and must not be compared).
_real: dict[int, Any] = {}


def is_complex(x: Any) -> bool:
    """Whether an array, a Variable or a Python number is complex."""
    if type(x) in _NUMBERS:
        return type(x) is complex
    dtype = x.dtype
    if id(dtype) in _real:
        return False
    found = "complex" in str(dtype)
    if not found and len(_real) < 1000:  # as many as there could be, should a library make new ones all the time
        _real[id(dtype)] = dtype
    return found


def conjugate(xp: Any, x: Any) -> Any:
    """The conjugate; a real array itself, at the price of one comparison for the usual dtypes."""
    if type(x) in _NUMBERS:
        return x.conjugate() if type(x) is complex else x
    if (dtype := x.dtype) is float32 or dtype is float64 or not is_complex(x):
        return x
    return xp.conj(x)


def as_complex(xp: Any, x: Any) -> Any:
    """A real array in the complex dtype of its precision."""
    return xp.astype(x, xp.complex64 if x.dtype == xp.float32 else xp.complex128)


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


def restored(xp: Any, g: Any, axis: Any, shape: tuple[int, ...], keepdims: bool) -> Any:
    """A reduction's gradient with the reduced axes back, as axes of size 1."""
    if keepdims or not g.ndim:
        return g
    axes = axes_of(axis, len(shape))
    return xp.reshape(g, tuple([1 if i in axes else n for i, n in enumerate(shape)]))
