"""Sorting: sort and argsort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from ..autograd.primitive import Primitive
from .arguments import one_axis

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Namespace
    from ..variable import Variable

__all__ = ["argsort", "sort"]


def _sorted(xp: Namespace, x: Array, axis: int, descending: bool, stable: bool) -> tuple[Any, Any]:
    indices = xp.argsort(x, axis=axis, descending=descending, stable=stable)
    return xp.take_along_axis(x, indices, axis=axis), indices


_sort_values = Primitive(
    "sort_values",
    lambda xp, x, /, axis, descending, stable: xp.sort(x, axis=axis, descending=descending, stable=stable),
    register=False,
)
_sort = Primitive(
    "sort",
    lambda xp, x, /, axis, descending, stable: _sorted(xp, x, axis, descending, stable),
    aux=("indices",),
    recompute=False,
    x=lambda xp, g, indices, x_shape, axis: xp.scatter_add(g, indices, x_shape, axis),
)
_argsort = Primitive(
    "argsort", lambda xp, x, /, axis, descending, stable: xp.argsort(x, axis=axis, descending=descending, stable=stable)
)


def _with_axis(x: ArrayLike, axis: int, name: str) -> tuple[Any, int]:
    x = adopt(x, name)
    if x.ndim == 0:
        raise ValueError(f"{name}: an array without dimensions has no axis to sort along")
    return x, one_axis(axis, x.ndim)


def sort(x: ArrayLike, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Variable:
    """The elements in order along an axis. Each gradient goes back to the place that its element came from.

    Parameters
    ----------
    x : Variable or array
    axis : int
    descending : bool
    stable : bool
        Whether equal elements keep their order. The order decides which of them gets which gradient.

    Returns
    -------
    Variable
    """
    x, axis = _with_axis(x, axis, "sort")
    return (_sort if x.requires_grad else _sort_values)(x, axis, descending, stable)


def argsort(x: ArrayLike, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Variable:
    """The indices that sort the elements along an axis, as int64; parameters as in `sort`."""
    x, axis = _with_axis(x, axis, "argsort")
    return _argsort(x, axis, descending, stable)
