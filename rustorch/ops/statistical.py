"""Reductions over axes, and running sums and products."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from ..autograd.graph import VARIABLES
from ..autograd.primitive import Primitive
from ..backends import dtypes, of
from .arguments import axes_of, one_axis, real_number
from .complex_numbers import conjugate

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Axes, DTypeLike, Namespace
    from ..variable import Variable

__all__ = ["cumulative_prod", "cumulative_sum", "max", "mean", "min", "prod", "std", "sum", "var"]

Axis = int | Sequence[int] | None


def _spread(xp: Namespace, g: Array, axis: Axes, shape: tuple[int, ...], keepdims: bool) -> Array:
    """A reduction's gradient at every element that was reduced: a view, where the library has views."""
    if axis is None:
        return xp.broadcast_to(g, shape)
    return xp.broadcast_to(restore_axes(xp, g, axis, shape, keepdims), shape)


def _count(axis: Any, shape: tuple[int, ...]) -> int:
    n = 1
    for i in axes_of(axis, len(shape)):
        n *= shape[i]
    return n


def restore_axes(xp: Namespace, g: Array, axis: Axes, shape: tuple[int, ...], keepdims: bool) -> Array:
    """A reduction's gradient with the reduced axes back, as axes of size 1."""
    if keepdims or not g.ndim:
        return g
    axes = axes_of(axis, len(shape))
    return xp.reshape(g, tuple([1 if i in axes else n for i, n in enumerate(shape)]))


# -- rules -----------------------------------------------------------------------------------------------------------
def _extreme_rule(xp: Namespace, g: Array, x: Array, out: Array, axis: Axes, keepdims: bool) -> Array:
    """To the elements that attain the extreme, evenly; where that is nan, to those that are nan."""
    out = restore_axes(xp, out, axis, x.shape, keepdims)
    attains = xp.logical_or(x == out, xp.logical_and(x != x, out != out))
    hit = xp.astype(attains, g.dtype)
    if _count(axis, x.shape) > 1 << 24:  # float32 counts no further, one by one
        ties = xp.astype(xp.sum(xp.astype(hit, xp.int32), axis=axis, keepdims=True), g.dtype)
    else:
        ties = xp.sum(hit, axis=axis, keepdims=True)
    return xp.where(attains, restore_axes(xp, g, axis, x.shape, keepdims) / ties, xp.zeros_like(hit))


def _var_rule(xp: Namespace, g: Array, x: Array, axis: Axes, correction: float, keepdims: bool) -> Array:
    degrees = builtins.max(_count(axis, x.shape) - correction, 0)
    scale = 2 / degrees if degrees else float("inf")
    return restore_axes(xp, g, axis, x.shape, keepdims) * scale * (x - xp.mean(x, axis=axis, keepdims=True))


def _std_rule(xp: Namespace, g: Array, x: Array, out: Array, axis: Axes, correction: float, keepdims: bool) -> Array:
    """Zero where the deviation is zero, as PyTorch has it. Each deviation from the mean is divided by it first: nothing
    overflows.
    """
    degrees = builtins.max(_count(axis, x.shape) - correction, 0)
    scale = 1 / degrees if degrees else float("inf")
    out = restore_axes(xp, out, axis, x.shape, keepdims)
    flat = out == 0
    g = xp.where(flat, xp.zeros_like(out), restore_axes(xp, g, axis, x.shape, keepdims))
    return g * scale * ((x - xp.mean(x, axis=axis, keepdims=True)) / xp.where(flat, xp.ones_like(out), out))


def _std_of(xp: Namespace, x: Array, /, axis: Axes, correction: float, keepdims: bool) -> Array:
    """Deviations from the mean are divided by the largest of them before they are squared: nothing overflows."""
    degrees = _count(axis, x.shape) - correction
    if 0 in x.shape or degrees <= 0:
        return xp.std(x, axis=axis, correction=correction, keepdims=keepdims)
    away = x - xp.mean(x, axis=axis, keepdims=True)
    largest = xp.max(xp.abs(away), axis=axis, keepdims=True)
    unit = xp.where(xp.logical_or(largest == 0, xp.isinf(largest)), xp.ones_like(largest), largest)
    away = away / unit
    out = xp.sqrt(xp.sum(away * away, axis=axis, keepdims=True) / degrees) * unit
    axes = () if keepdims else axes_of(axis, len(x.shape))
    return xp.reshape(out, tuple([n for i, n in enumerate(out.shape) if i not in axes])) if axes else out


def _shifted(xp: Namespace, x: Array, by: int, fill: Array) -> Array:
    """``x`` moved along its last axis by ``by`` places (to the right if positive), with ``fill``'s elements
    moving in.
    """
    if by > 0:
        return xp.concat([fill[..., :by], x[..., :-by]], axis=-1)
    return xp.concat([x[..., -by:], fill[..., :-by]], axis=-1)


def _products_before(xp: Namespace, x: Array) -> Array:
    """The product of all elements before each, along the last axis."""
    return xp.cumulative_prod(_shifted(xp, x, 1, xp.ones_like(x)), axis=-1)


def _prod_rule(xp: Namespace, g: Array, x: Array, axis: Axes, keepdims: bool) -> Array:
    """Each element's factor is the product of all others, from both sides: no division, so zeros are no
    special case.
    """
    shape = x.shape
    axes = axes_of(axis, len(shape))
    kept = tuple([i for i in range(len(shape)) if i not in axes])
    order = kept + axes
    rows = xp.reshape(xp.permute_dims(x, order), (*[shape[i] for i in kept], _count(axis, shape)))
    if 0 in rows.shape:
        return xp.zeros_like(x)
    others = _products_before(xp, rows) * xp.flip(_products_before(xp, xp.flip(rows, axis=-1)), axis=-1)
    others = xp.reshape(others, tuple([shape[i] for i in order]))
    back = sorted(range(len(order)), key=order.__getitem__)
    return restore_axes(xp, g, axis, shape, keepdims) * conjugate(xp, xp.permute_dims(others, tuple(back)))


def _cumulative_sum_rule(xp: Namespace, g: Array, axis: int, include_initial: bool) -> Array:
    if include_initial:
        g = g[(slice(None),) * axis + (slice(1, None), ...)]
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)


def _cumulative_prod_rule(xp: Namespace, g: Array, x: Array, axis: int, include_initial: bool) -> Array:
    """``before[i] * r[i]`` with ``r[i] = g[i] + x[i+1] * r[i+1]``, in which nothing is divided by ``x``.

    The linear recurrence is solved by doubling: log2(n) passes over arrays of the input's size.
    Source: Hillis & Steele, "Data parallel algorithms", 1986.
    """
    if include_initial:
        g = g[(slice(None),) * axis + (slice(1, None), ...)]
    if 0 in x.shape:
        return xp.zeros_like(x)
    x, r = xp.moveaxis(x, axis, -1), xp.moveaxis(g, axis, -1)
    before = conjugate(xp, _products_before(xp, x))
    zeros = xp.zeros_like(x)
    factor = _shifted(xp, conjugate(xp, x), -1, zeros)
    step, n = 1, x.shape[-1]
    while step < n:
        r = r + factor * _shifted(xp, r, -step, xp.zeros_like(r))
        factor = factor * _shifted(xp, factor, -step, zeros)
        step *= 2
    return xp.moveaxis(before * r, -1, axis)


# -- primitives --------------------------------------------------------------------------------------------------------
_sum = Primitive(
    "sum",
    lambda xp, x, /, axis, dtype, keepdims: xp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims),
    x=lambda xp, g, axis, x_shape, keepdims: (
        xp.broadcast_to(g, x_shape) if axis is None else _spread(xp, g, axis, x_shape, keepdims)
    ),
)
_mean = Primitive(
    "mean",
    lambda xp, x, /, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims),
    x=lambda xp, g, axis, x_shape, keepdims: _spread(
        xp, g / builtins.max(_count(axis, x_shape), 1), axis, x_shape, keepdims
    ),
)
_prod = Primitive(
    "prod",
    lambda xp, x, /, axis, dtype, keepdims: xp.prod(x, axis=axis, dtype=dtype, keepdims=keepdims),
    x=_prod_rule,
)
_max = Primitive("max", lambda xp, x, /, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims), x=_extreme_rule)
_min = Primitive("min", lambda xp, x, /, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims), x=_extreme_rule)
_var = Primitive(
    "var",
    lambda xp, x, /, axis, correction, keepdims: xp.var(x, axis=axis, correction=correction, keepdims=keepdims),
    x=_var_rule,
)
_std = Primitive(
    "std",
    _std_of,
    x=_std_rule,
)
_cumulative_sum = Primitive(
    "cumulative_sum",
    lambda xp, x, /, axis, dtype, include_initial: xp.cumulative_sum(
        x, axis=axis, dtype=dtype, include_initial=include_initial
    ),
    x=_cumulative_sum_rule,
)
_cumulative_prod = Primitive(
    "cumulative_prod",
    lambda xp, x, /, axis, dtype, include_initial: xp.cumulative_prod(
        x, axis=axis, dtype=dtype, include_initial=include_initial
    ),
    x=_cumulative_prod_rule,
)


# -- functions ---------------------------------------------------------------------------------------------------------
def _given(x: ArrayLike, name: str, axis: Axis) -> tuple[Any, Any]:
    """The array as a Variable and the axes checked, as an integer, a tuple or None."""
    if type(x) not in VARIABLES:
        x = adopt(x, name)
    if axis is None:
        return x, None
    axes = axes_of(axis, x._native.ndim)
    return x, axes[0] if isinstance(axis, int) else axes


def _native_dtype(x: ArrayLike, dtype: DTypeLike) -> Any:
    return None if dtype is None else of(x._native).native_dtype(dtype)  # type: ignore[union-attr]


def _not_empty(x: ArrayLike, name: str, axis: Any) -> None:
    if not _count(axis, x.shape):
        raise ValueError(f"{name}: there is no {name} of nothing: axis {axis} of shape {x.shape} has no elements")


def _floating(x: ArrayLike, name: str) -> None:
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")


def sum(x: ArrayLike, /, *, axis: Axis = None, dtype: DTypeLike = None, keepdims: bool = False) -> Variable:
    """Sum of the elements along axes.

    Parameters
    ----------
    x : Variable or array
    axis : int, tuple of int, or None
        None: all.
    dtype : dtype, optional
        Of the sum; default: of ``x``, and for narrow integers int64 or uint64.
    keepdims : bool
        Whether the axes stay, with size 1.

    Returns
    -------
    Variable

    Examples
    --------
    >>> import rustorch
    >>> rustorch.sum(rustorch.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Variable([4., 6.])
    """
    if axis is not None or type(x) not in VARIABLES:
        x, axis = _given(x, "sum", axis)
    return _sum.call(x, axis, None if dtype is None else _native_dtype(x, dtype), keepdims)


def prod(x: ArrayLike, /, *, axis: Axis = None, dtype: DTypeLike = None, keepdims: bool = False) -> Variable:
    """Product of the elements along axes; parameters as in `sum`. Zeros among them have their right gradients."""
    x, axis = _given(x, "prod", axis)
    return _prod(x, axis, _native_dtype(x, dtype), keepdims)


def mean(x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Arithmetic mean along axes, of a floating-point array; parameters as in `sum`."""
    x, axis = _given(x, "mean", axis)
    _floating(x, "mean")
    return _mean.call(x, axis, keepdims)


def max(x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The largest element along axes; parameters as in `sum`. Ties share the gradient evenly."""
    x, axis = _given(x, "max", axis)
    _not_empty(x, "max", axis)
    return _max(x, axis, keepdims)


def min(x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The smallest element along axes; parameters as in `sum`. Ties share the gradient evenly."""
    x, axis = _given(x, "min", axis)
    _not_empty(x, "min", axis)
    return _min(x, axis, keepdims)


def var(x: ArrayLike, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Variable:
    """Variance along axes: squared deviations from the mean, over the number of elements less ``correction``."""
    x, axis = _given(x, "var", axis)
    _floating(x, "var")
    return _var(x, axis, real_number("var", "correction", correction), keepdims)


def std(x: ArrayLike, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Variable:
    """Standard deviation along axes: the square root of `var`. Its gradient at 0 is 0."""
    x, axis = _given(x, "std", axis)
    _floating(x, "std")
    return _std(x, axis, real_number("std", "correction", correction), keepdims)


def _running(x: ArrayLike, name: str, axis: int | None) -> tuple[Any, int]:
    x = adopt(x, name)
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"{name}: name the axis of an array of {x.ndim} dimensions")
        axis = 0
    return x, one_axis(axis, x.ndim)


def cumulative_sum(
    x: ArrayLike, /, *, axis: int | None = None, dtype: DTypeLike = None, include_initial: bool = False
) -> Variable:
    """Running sums along an axis.

    Parameters
    ----------
    x : Variable or array
        Of one or more dimensions.
    axis : int, optional
        Needed for more than one dimension.
    dtype : dtype, optional
    include_initial : bool
        Whether the sums begin with a 0, one more than there are elements.

    Returns
    -------
    Variable
    """
    x, axis = _running(x, "cumulative_sum", axis)
    return _cumulative_sum(x, axis, _native_dtype(x, dtype), include_initial)


def cumulative_prod(
    x: ArrayLike, /, *, axis: int | None = None, dtype: DTypeLike = None, include_initial: bool = False
) -> Variable:
    """Running products along an axis; parameters as in `cumulative_sum`, the initial value is 1."""
    x, axis = _running(x, "cumulative_prod", axis)
    return _cumulative_prod(x, axis, _native_dtype(x, dtype), include_initial)
