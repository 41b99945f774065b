"""Arguments brought to one form: axes, shapes, integers and real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any

from ..autograd.check import number_of
from ..backends.convert import fits
from ..backends.promotion import PYTHON_SCALARS

if TYPE_CHECKING:
    from ..typing import Axes, Shape

__all__ = ["axes_of", "fill_number", "integer", "one_axis", "real_number", "shape_of", "sizes_of"]


def axes_of(axis: Axes, ndim: int) -> tuple[int, ...]:
    """The axes of an array of ``ndim`` dimensions as a tuple of non-negative integers. None means all axes.

    Raises
    ------
    IndexError
        If an axis is out of range.
    ValueError
        If an axis is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple([one_axis(a, ndim) for a in given])
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis {axis} names an axis twice")
    return axes


def one_axis(axis: Any, ndim: int, name: str = "") -> int:
    """The axis of an array of ``ndim`` dimensions as a non-negative integer.

    Raises
    ------
    IndexError
        If the axis is out of range. The message begins with ``name``.
    """
    i = index(axis)
    if not -ndim <= i < ndim:
        raise IndexError(f"{name}{name and ': '}axis {i} is out of range for an array of {ndim} dimensions")
    return i % ndim


def integer(name: str, what: str, value: Any) -> int:
    """The argument ``what`` of the function ``name`` as an integer of Python.

    Raises
    ------
    TypeError
        If the value is not an integer of Python or of another library.
    """
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"{name}: {what} is an integer, not {value!r} of type {type(value).__name__}") from None


def real_number(name: str, what: str, value: Any) -> Any:
    """The argument ``what`` of the function ``name`` as a number of Python.

    Raises
    ------
    TypeError
        If the value is not a number of Python or of another library.
    """
    if type(value) in PYTHON_SCALARS:
        return value
    try:
        return float(value)
    except TypeError:
        raise TypeError(f"{name}: {what} is a number, not {value!r} of type {type(value).__name__}") from None


def shape_of(shape: int | Sequence[int], name: str = "") -> Shape:
    """A shape, given as an integer or as a sequence of integers, as a tuple.

    Raises
    ------
    TypeError
        If the shape is neither. The message begins with ``name``.
    """
    try:
        return tuple([index(n) for n in shape]) if isinstance(shape, (tuple, list, range)) else (index(shape),)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}{name and ': '}a shape is an integer or a tuple of integers, not {shape!r}") from None


def sizes_of(name: str, shape: int | Sequence[int]) -> Shape:
    """The shape of a new array, for the function ``name``.

    Raises
    ------
    TypeError
        If the shape is neither an integer nor a tuple of integers.
    ValueError
        If a size is negative.
    """
    sizes = shape_of(shape, name)
    if any(n < 0 for n in sizes):
        raise ValueError(f"{name}: sizes are not negative, as they are in {sizes}")
    return sizes


def fill_number(name: str, value: Any, dtype: Any) -> Any:
    """The value to fill an array with, as a Python number of the dtype's kind.

    Raises
    ------
    TypeError
        If it is no number, or a complex one for a real dtype.
    OverflowError
        If it does not fit into the dtype.
    """
    number = number_of(value)
    if number is None:
        raise TypeError(
            f"{name}: value is a number, not {value!r} of type {type(value).__name__}; to pad with an array, also one "
            f"that needs a gradient, join it to the input with rustorch.concat"
        )
    kind = dtype.kind
    if kind == "b":
        return bool(number)
    if type(number) is complex and kind != "c":
        raise TypeError(f"{name}: value is {number}, but the input has {dtype}; take the real part first")
    try:
        number = int(number) if kind in "iu" else number
        fits(number, dtype)
    except (OverflowError, ValueError):
        raise OverflowError(f"{name}: value is {number}, which does not fit into the input's {dtype}") from None
    return number
