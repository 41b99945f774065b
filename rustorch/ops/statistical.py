"""Reductions along axes, and running sums and products."""

from __future__ import annotations

import builtins
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


def _spread(xp: Namespace, g: Array, axis: Axes, shape: tuple[int, ...], keepdims: bool) -> Array:
    """The gradient of a reduction at each element that was reduced. It is a view, if the library has views."""
    if axis is None:
        return xp.broadcast_to(g, shape)
    return xp.broadcast_to(restore_axes(xp, g, axis, shape, keepdims), shape)


def _count(axis: Axes, shape: tuple[int, ...]) -> int:
    n = 1
    for i in axes_of(axis, len(shape)):
        n *= shape[i]
    return n


def restore_axes(xp: Namespace, g: Array, axis: Axes, shape: tuple[int, ...], keepdims: bool) -> Array:
    """The gradient of a reduction with the reduced axes restored, with size 1."""
    if keepdims or not g.ndim:
        return g
    axes = axes_of(axis, len(shape))
    return xp.reshape(g, tuple([1 if i in axes else n for i, n in enumerate(shape)]))


# -- rules -----------------------------------------------------------------------------------------------------------
def _extreme_rule(xp: Namespace, g: Array, x: Array, out: Array, axis: Axes, keepdims: bool) -> Array:
    """The gradient, shared evenly among the elements equal to the extreme. Elements that are nan share that of nan."""
    shape = x.shape
    g, out = (restore_axes(xp, a, axis, shape, keepdims) for a in (g, out))
    return xp.extreme_grad(g, x, out, axis)


def _var_rule(xp: Namespace, g: Array, x: Array, axis: Axes, correction: float, keepdims: bool) -> Array:
    degrees = builtins.max(_count(axis, x.shape) - correction, 0)
    scale = 2 / degrees if degrees else float("inf")
    return xp.centered(restore_axes(xp, g, axis, x.shape, keepdims) * scale, x, axis)


def _std_rule(xp: Namespace, g: Array, x: Array, out: Array, axis: Axes, correction: float, keepdims: bool) -> Array:
    """``g * (x - mean) / (degrees * out)``, and zero where the standard deviation is zero, as in PyTorch.

    Each deviation from the mean is divided by ``out`` before it is multiplied, so that no product overflows.
    """
    degrees = builtins.max(_count(axis, x.shape) - correction, 0)
    scale = 1 / degrees if degrees else float("inf")
    out = restore_axes(xp, out, axis, x.shape, keepdims)
    is_zero = out == 0
    g = xp.where(is_zero, xp.zeros_like(out), restore_axes(xp, g, axis, x.shape, keepdims))
    return g * scale * ((x - xp.mean(x, axis=axis, keepdims=True)) / xp.where(is_zero, xp.ones_like(out), out))


def _std_of(xp: Namespace, x: Array, /, axis: Axes, correction: float, keepdims: bool) -> Array:
    """The standard deviation. Deviations are divided by the largest one first, so that no square overflows."""
    degrees = _count(axis, x.shape) - correction
    if 0 in x.shape or degrees <= 0:
        return xp.std(x, axis=axis, correction=correction, keepdims=keepdims)
    deviations = x - xp.mean(x, axis=axis, keepdims=True)
    largest = xp.max(xp.abs(deviations), axis=axis, keepdims=True)
    unit = xp.where(xp.logical_or(largest == 0, xp.isinf(largest)), xp.ones_like(largest), largest)
    deviations = deviations / unit
    out = xp.sqrt(xp.sum(deviations * deviations, axis=axis, keepdims=True) / degrees) * unit
    axes = () if keepdims else axes_of(axis, len(x.shape))
    return xp.reshape(out, tuple([n for i, n in enumerate(out.shape) if i not in axes])) if axes else out


def _shifted(xp: Namespace, x: Array, by: int, fill: Array) -> Array:
    """``x`` moved along its last axis by ``by`` places, to the right if ``by`` is positive. ``fill`` fills the gap."""
    if by > 0:
        return xp.concat([fill[..., :by], x[..., :-by]], axis=-1)
    return xp.concat([x[..., -by:], fill[..., :-by]], axis=-1)


def _products_before(xp: Namespace, x: Array) -> Array:
    """For each element, the product of all elements before it along the last axis."""
    return xp.cumulative_prod(_shifted(xp, x, 1, xp.ones_like(x)), axis=-1)


def _prod_rule(xp: Namespace, g: Array, x: Array, axis: Axes, keepdims: bool) -> Array:
    """For each element, ``g`` times the product of all others.

    That product is the one of all elements before it times the one of all elements behind it. Nothing is divided, so
    zeros need no special case.
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
    """``before[i] * r[i]`` with ``r[i] = g[i] + x[i+1] * r[i+1]``. Nothing is divided by ``x``.

    Doubling solves the linear recurrence in log2(n) passes over arrays of the input's size.
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
def _checked(x: Any, name: str, axis: Axes) -> tuple[Variable, Any]:
    """The array as a Variable; the checked axes as an integer, a tuple or None."""
    if type(x) not in VARIABLES:
        x = adopt(x, name)
    if axis is None:
        return x, None
    axes = axes_of(axis, x._native.ndim)
    return x, axes[0] if isinstance(axis, int) else axes


def _native_dtype(x: Any, dtype: DTypeLike) -> Any:
    return None if dtype is None else of(x._native).native_dtype(dtype)  # type: ignore[union-attr]


def _not_empty(x: Variable, name: str, axis: Axes) -> None:
    if not _count(axis, x.shape):
        raise ValueError(f"{name}: there is no {name} of nothing: axis {axis} of shape {x.shape} has no elements")


def _floating(x: Variable, name: str) -> None:
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")


def sum(x: ArrayLike, /, *, axis: Axes = None, dtype: DTypeLike = None, keepdims: bool = False) -> Variable:
    """The sum of the elements along axes.

    Parameters
    ----------
    x : Variable or array
    axis : int, tuple of int, or None
        None: all axes.
    dtype : dtype, optional
        The dtype of the sum. Default: the dtype of ``x``; for narrow integers int64 or uint64.
    keepdims : bool
        Whether the axes stay in the result, with size 1.

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
        x, axis = _checked(x, "sum", axis)
    return _sum.call(x, axis, None if dtype is None else _native_dtype(x, dtype), keepdims)


def prod(x: ArrayLike, /, *, axis: Axes = None, dtype: DTypeLike = None, keepdims: bool = False) -> Variable:
    """The product of the elements along axes; parameters as in `sum`. Elements that are 0 have correct gradients."""
    x, axis = _checked(x, "prod", axis)
    return _prod(x, axis, _native_dtype(x, dtype), keepdims)


def mean(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The arithmetic mean of a floating-point array along axes; parameters as in `sum`."""
    x, axis = _checked(x, "mean", axis)
    _floating(x, "mean")
    return _mean.call(x, axis, keepdims)


def max(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The largest element along axes; parameters as in `sum`. Ties share the gradient evenly."""
    x, axis = _checked(x, "max", axis)
    _not_empty(x, "max", axis)
    return _max(x, axis, keepdims)


def min(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """The smallest element along axes; parameters as in `sum`. Ties share the gradient evenly."""
    x, axis = _checked(x, "min", axis)
    _not_empty(x, "min", axis)
    return _min(x, axis, keepdims)


def var(x: ArrayLike, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Variable:
    """The variance along axes: the sum of squared deviations from the mean, divided by n - ``correction``.

    Parameters
    ----------
    x : Variable or array
        Floating-point, with n elements along the axes.
    axis : int, tuple of int, or None
        None: all axes.
    correction : float
        0 for the variance of a population, 1 for that of a sample.
    keepdims : bool
        Whether the axes stay in the result, with size 1.

    Returns
    -------
    Variable
    """
    x, axis = _checked(x, "var", axis)
    _floating(x, "var")
    return _var(x, axis, real_number("var", "correction", correction), keepdims)


def std(x: ArrayLike, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Variable:
    """The standard deviation along axes: the square root of `var`. Its gradient at 0 is 0."""
    x, axis = _checked(x, "std", axis)
    _floating(x, "std")
    return _std(x, axis, real_number("std", "correction", correction), keepdims)


def _running(x: ArrayLike, name: str, axis: int | None) -> tuple[Variable, int]:
    x = adopt(x, name)
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"{name}: name the axis of an array of {x.ndim} dimensions")
        axis = 0
    return x, one_axis(axis, x.ndim)


def cumulative_sum(
    x: ArrayLike, /, *, axis: int | None = None, dtype: DTypeLike = None, include_initial: bool = False
) -> Variable:
    """The running sums along an axis.

    Parameters
    ----------
    x : Variable or array
        Of one or more dimensions.
    axis : int, optional
        Needed for more than one dimension.
    dtype : dtype, optional
    include_initial : bool
        Whether a 0 comes before the first sum, so that there is one more sum than elements.

    Returns
    -------
    Variable
    """
    x, axis = _running(x, "cumulative_sum", axis)
    return _cumulative_sum(x, axis, _native_dtype(x, dtype), include_initial)


def cumulative_prod(
    x: ArrayLike, /, *, axis: int | None = None, dtype: DTypeLike = None, include_initial: bool = False
) -> Variable:
    """The running products along an axis; parameters as in `cumulative_sum`. The initial value is 1."""
    x, axis = _running(x, "cumulative_prod", axis)
    return _cumulative_prod(x, axis, _native_dtype(x, dtype), include_initial)
