"""Elements chosen by a condition, and where elements are: where, argmax, nonzero, searchsorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.check import adopt, common_backend, mixed_kinds, weak, weak_number
from ..autograd.fusable import fusable
from ..autograd.graph import make
from ..autograd.primitive import Primitive
from ..backends import of
from ..backends.dtypes import DEFAULTS
from ..backends.promotion import PYTHON_SCALARS
from .arguments import axes_of, one_axis
from .creation import full_like
from .from_data import asarray
from .indexing import take

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Axes, Namespace
    from ..variable import Variable

__all__ = ["argmax", "argmin", "count_nonzero", "nonzero", "searchsorted", "where"]


def _where_x1(xp: Namespace, g: Array, condition: Array) -> Array:
    return xp.where(condition, g, xp.zeros_like(g))


def _where_x2(xp: Namespace, g: Array, condition: Array) -> Array:
    return xp.where(condition, xp.zeros_like(g), g)


_where = Primitive(
    "where",
    lambda xp, condition, x1, x2, /: xp.where(condition, x1, x2),
    x1=fusable(_where_x1),
    x2=fusable(_where_x2),
)
_argmax = Primitive("argmax", lambda xp, x, /, axis, keepdims: xp.argmax(x, axis=axis, keepdims=keepdims))
_argmin = Primitive("argmin", lambda xp, x, /, axis, keepdims: xp.argmin(x, axis=axis, keepdims=keepdims))
_count_nonzero = Primitive(
    "count_nonzero", lambda xp, x, /, axis, keepdims: xp.count_nonzero(x, axis=axis, keepdims=keepdims)
)
_searchsorted = Primitive("searchsorted", lambda xp, x1, x2, /, side: xp.searchsorted(x1, x2, side=side))


def where(condition: ArrayLike, x1: ArrayLike, x2: ArrayLike, /) -> Variable:
    """Elements of ``x1`` where the condition is true, and of ``x2`` elsewhere.

    The element that was not chosen gets the gradient 0. The rule of the function that computed it multiplies this 0 by
    its derivative, which gives nan if the derivative is infinite or nan, as that of ``sqrt`` at 0. Replace such
    arguments before, with a second ``where``.

    Parameters
    ----------
    condition : Variable or array of booleans
    x1, x2 : Variable, array or Python number
        The three shapes broadcast.

    Returns
    -------
    Variable
        Of the broadcast shape and the promoted dtype.
    """
    condition = adopt(condition, "where", (x1, x2))
    if condition.dtype.kind != "b":
        raise TypeError(f"where: the condition is boolean, not {condition.dtype}; compare it with something")
    x1, x2 = weak(x1, x2), weak(x2, x1)
    number1, number2 = type(x1) in PYTHON_SCALARS, type(x2) in PYTHON_SCALARS
    if number1 and number2:
        # the number of the higher kind decides the dtype
        dtype = DEFAULTS[max((PYTHON_SCALARS[type(x1)], PYTHON_SCALARS[type(x2)]), key="bifc".find)]
        x1, x2 = full_like(condition, x1, dtype=dtype), full_like(condition, x2, dtype=dtype)
    x1 = x1 if number1 and not number2 else adopt(x1, "where", (condition,))
    x2 = x2 if number2 and not number1 else adopt(x2, "where", (condition,))
    if number1 != number2:
        weak_number("where", x1 if number1 else x2, (x2 if number1 else x1)._native)
    else:
        mixed_kinds("where", common_backend("where", (condition, x1, x2)), x1._native, x2._native)
    return _where(condition, x1, x2)


def _axis_with_elements(x: Variable, axis: int | None, name: str) -> int | None:
    """The axis as a non-negative integer or None. Raises ValueError if there are no elements along it."""
    if x.size == 0 and (axis is None or x.shape[one_axis(axis, x.ndim)] == 0):
        raise ValueError(f"{name}: there is none among no elements, shape {x.shape}")
    return None if axis is None else one_axis(axis, x.ndim)


def argmax(x: ArrayLike, /, *, axis: int | None = None, keepdims: bool = False) -> Variable:
    """The index of the first largest element along an axis, as int64. Without an axis, in the flattened array."""
    x = adopt(x, "argmax")
    return _argmax(x, _axis_with_elements(x, axis, "argmax"), keepdims)


def argmin(x: ArrayLike, /, *, axis: int | None = None, keepdims: bool = False) -> Variable:
    """The index of the first smallest element along an axis, as int64. Without an axis, in the flattened array."""
    x = adopt(x, "argmin")
    return _argmin(x, _axis_with_elements(x, axis, "argmin"), keepdims)


def nonzero(x: ArrayLike, /) -> tuple[Variable, ...]:
    """The indices of the elements that are not zero: one array for each axis. Their size depends on the values."""
    x = adopt(x, "nonzero")
    if x.ndim == 0:
        raise ValueError("nonzero: an array without dimensions has no indices")
    return tuple([make(index) for index in of(x._native).xp.nonzero(x._native)])  # type: ignore[union-attr]


def count_nonzero(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The number of elements along axes that are not zero. Without axes, of the whole array."""
    x = adopt(x, "count_nonzero")
    return _count_nonzero(x, None if axis is None else axes_of(axis, x.ndim), keepdims)


def searchsorted(x1: ArrayLike, x2: ArrayLike, /, *, side: str = "left", sorter: ArrayLike | None = None) -> Variable:
    """The indices at which the elements of ``x2`` would be inserted into the sorted ``x1``.

    Parameters
    ----------
    x1 : Variable or array, (n,)
    x2 : Variable, array or Python number
    side : {"left", "right"}
        Before or after elements that are equal.
    sorter : integer array, (n,), optional
        The indices that sort ``x1``.

    Returns
    -------
    Variable
        Of the shape of ``x2``, as int64.

    Raises
    ------
    TypeError
        If the standard does not promote the two dtypes.
    ValueError
        If ``x1`` is not a vector, or ``side`` is neither "left" nor "right".
    """
    x1 = adopt(x1, "searchsorted", (x2,))
    if x1.ndim != 1:
        raise ValueError(f"searchsorted: what is searched is a vector, not of the shape {x1.shape}")
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is 'left' or 'right', not {side!r}")
    if sorter is not None:
        x1 = take(x1, sorter)
    x2 = weak(x2, x1)
    if type(x2) in PYTHON_SCALARS:
        weak_number("searchsorted", x2, x1._native)
        x2 = asarray(x2, dtype=x1.dtype, device=x1.device)
    x2 = adopt(x2, "searchsorted", (x1,))
    mixed_kinds("searchsorted", common_backend("searchsorted", (x1, x2)), x1._native, x2._native)
    return _searchsorted(x1, x2, side)
