"""Choosing and finding elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.check import adopt, common_backend, mixed_kinds, weak, weak_number
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
    from ..typing import ArrayLike, Axes
    from ..variable import Variable

__all__ = ["argmax", "argmin", "count_nonzero", "nonzero", "searchsorted", "where"]

_where = Primitive(
    "where",
    lambda xp, condition, x1, x2, /: xp.where(condition, x1, x2),
    x1=lambda xp, g, condition: xp.where(condition, g, xp.zeros_like(g)),
    x2=lambda xp, g, condition: xp.where(condition, xp.zeros_like(g), g),
)
_argmax = Primitive("argmax", lambda xp, x, /, axis, keepdims: xp.argmax(x, axis=axis, keepdims=keepdims))
_argmin = Primitive("argmin", lambda xp, x, /, axis, keepdims: xp.argmin(x, axis=axis, keepdims=keepdims))
_count_nonzero = Primitive(
    "count_nonzero", lambda xp, x, /, axis, keepdims: xp.count_nonzero(x, axis=axis, keepdims=keepdims)
)
_searchsorted = Primitive("searchsorted", lambda xp, x1, x2, /, side: xp.searchsorted(x1, x2, side=side))


def where(condition: ArrayLike, x1: ArrayLike, x2: ArrayLike, /) -> Variable:
    """Elements of ``x1`` where the condition holds, else of ``x2``.

    The gradient of the element that was not chosen is zero times what it would be: where that is infinite or nan
    (``sqrt`` at 0, say), make the argument harmless with a second ``where`` inside.

    Parameters
    ----------
    condition : boolean array
    x1, x2 : Variable, array or Python number
        The three shapes broadcast.
    """
    condition = adopt(condition, "where", (x1, x2))
    if condition.dtype.kind != "b":
        raise TypeError(f"where: the condition is boolean, not {condition.dtype}; compare it with something")
    x1, x2 = weak(x1, x2), weak(x2, x1)
    one, two = type(x1) in PYTHON_SCALARS, type(x2) in PYTHON_SCALARS
    if one and two:
        # the number of the higher kind decides the dtype
        dtype = DEFAULTS[max((type(x1).__name__[0], type(x2).__name__[0]), key="bifc".find)]
        x1, x2 = full_like(condition, x1, dtype=dtype), full_like(condition, x2, dtype=dtype)
    x1 = x1 if one and not two else adopt(x1, "where", (condition,))
    x2 = x2 if two and not one else adopt(x2, "where", (condition,))
    if one != two:
        weak_number("where", x1 if one else x2, (x2 if one else x1)._native)
    else:
        mixed_kinds("where", common_backend("where", (condition, x1, x2)), x1._native, x2._native)
    return _where(condition, x1, x2)


def _axis(x: ArrayLike, axis: int | None, name: str) -> int | None:
    if x.size == 0 and (axis is None or x.shape[one_axis(axis, x.ndim)] == 0):
        raise ValueError(f"{name}: there is none among no elements, shape {x.shape}")
    return None if axis is None else one_axis(axis, x.ndim)


def argmax(x: ArrayLike, /, *, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Index of the first largest element along an axis (None: in the flattened array), as int64."""
    x = adopt(x, "argmax")
    return _argmax(x, _axis(x, axis, "argmax"), keepdims)


def argmin(x: ArrayLike, /, *, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Index of the first smallest element along an axis (None: in the flattened array), as int64."""
    x = adopt(x, "argmin")
    return _argmin(x, _axis(x, axis, "argmin"), keepdims)


def nonzero(x: ArrayLike, /) -> tuple:
    """The indices of the elements that are not zero: an array per axis. Its size depends on the values."""
    x = adopt(x, "nonzero")
    if x.ndim == 0:
        raise ValueError("nonzero: an array without dimensions has no indices")
    return tuple([make(index) for index in of(x._native).xp.nonzero(x._native)])  # type: ignore[union-attr]


def count_nonzero(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """How many elements along axes are not zero."""
    x = adopt(x, "count_nonzero")
    return _count_nonzero(x, None if axis is None else axes_of(axis, x.ndim), keepdims)


def searchsorted(x1: ArrayLike, x2: ArrayLike, /, *, side: str = "left", sorter: ArrayLike | None = None) -> Variable:
    """Where the elements of ``x2`` would be inserted into the sorted ``x1``.

    Parameters
    ----------
    x1 : Variable or array, (n,)
    x2 : Variable, array or Python number
    side : {"left", "right"}
        Before or after elements that are equal.
    sorter : integer array, (n,), optional
        The order that sorts ``x1``.

    Raises
    ------
    TypeError
        If the two are of kinds that the standard does not mix.
    ValueError
        If ``x1`` is no vector, or there is no such side.
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
