"""Parts of the gradients of reductions: deviations from the mean times a factor, and the gradient of an extreme."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import Array, Namespace


def centered(xp: Namespace, factor: Array, x: Array, axis: Any) -> Array:
    """``factor * (x - mean)``. The factor has size 1 along the reduced axes."""
    return factor * (x - xp.mean(x, axis=axis, keepdims=True))


def extreme_grad(xp: Namespace, g: Array, x: Array, out: Array, axis: Any) -> Array:
    """The gradient of max or min, shared evenly among the elements equal to the extreme. Elements that are nan share
    that of nan. ``g`` and ``out``, the extreme, have size 1 along the reduced axes.
    """
    is_extreme = xp.logical_or(x == out, xp.logical_and(x != x, out != out))
    ones = xp.astype(is_extreme, g.dtype)
    if _count(axis, x.shape) > 1 << 24:  # float32 cannot count further one by one
        ties = xp.astype(xp.sum(xp.astype(ones, xp.int32), axis=axis, keepdims=True), g.dtype)
    else:
        ties = xp.sum(ones, axis=axis, keepdims=True)
    return xp.where(is_extreme, g / ties, xp.zeros_like(ones))


def _count(axis: Any, shape: tuple[int, ...]) -> int:
    """The number of elements along the axes."""
    if axis is None:
        return prod(shape)
    return prod([shape[i] for i in (axis if isinstance(axis, tuple) else (axis,))])
