"""Softmax, log_softmax and logsumexp, each with its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace


def softmax(xp: Namespace, x: Array, axis: int) -> Array:
    """``exp(x) / sum(exp(x), axis)``."""
    if not x.shape[axis]:
        return xp.zeros_like(x)
    shifted = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return shifted / xp.sum(shifted, axis=axis, keepdims=True)


def softmax_grad(xp: Namespace, g: Array, out: Array, axis: int) -> Array:
    """The gradient of `softmax`: ``out * (g - mean)`` with the mean of g weighted by ``out``.

    Where ``out`` is nearly 1, the mean is nearly g, and their difference is mostly rounding error. So the mean is
    subtracted first, and then the weighted mean of the rest, which is accurate: it has no large term any more.
    """
    rest = g - xp.sum(g * out, axis=axis, keepdims=True)
    return out * (rest - xp.sum(rest * out, axis=axis, keepdims=True))


def log_softmax(xp: Namespace, x: Array, axis: int) -> Array:
    """``log(softmax(x))`` without computing the softmax."""
    if not x.shape[axis]:
        return xp.zeros_like(x)
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - _log_sum(xp, shifted, axis)


def log_softmax_grad(xp: Namespace, g: Array, out: Array, axis: int) -> Array:
    """The gradient of `log_softmax`: ``g - p * sum(g)`` for p = exp(out). It is computed as
    ``g * (1 - p) - p * (sum(g) - g)``, where 1 - p keeps its digits for p near 1.
    """
    return -(g * xp.expm1(out)) - xp.exp(out) * (xp.sum(g, axis=axis, keepdims=True) - g)


def logsumexp(xp: Namespace, x: Array, axis: int) -> Array:
    """``log(sum(exp(x), axis))`` with the axis kept, and -inf for an empty axis. x is shifted by its maximum, so that
    nothing overflows.

    Source: Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """
    if not x.shape[axis]:
        return xp.sum(x, axis=axis, keepdims=True) - xp.inf
    top = finite_max(xp, x, axis)
    return _log_sum(xp, x - top, axis) + top


def logsumexp_grad(xp: Namespace, g: Array, x: Array, out: Array, axis: int) -> Array:
    """The gradient of `logsumexp`: ``g * softmax(x)``. If the result is infinity, its gradient is shared equally by the
    elements that are infinity; if all elements are -infinity, it is 0.
    """
    attained = xp.where(x == out, xp.zeros_like(x), xp.full_like(x, -xp.inf))
    dx = g * softmax(xp, xp.where(xp.isinf(out), attained, x), axis)
    return xp.where(out == -xp.inf, xp.zeros_like(dx), dx)


def _log_sum(xp: Namespace, shifted: Array, axis: int) -> Array:
    """``log(sum(exp(shifted)))`` for numbers whose maximum is 0. log1p adds one of the largest terms, which are 1."""
    largest = shifted == 0
    others = xp.sum(xp.where(largest, xp.zeros_like(shifted), xp.exp(shifted)), axis=axis, keepdims=True)
    others = others + (xp.sum(xp.astype(largest, shifted.dtype), axis=axis, keepdims=True) - 1)
    empty = others == -1  # all are -infinity; a warning of the logarithm of 0 would mislead
    return xp.where(empty, xp.full_like(others, -xp.inf), xp.log1p(xp.where(empty, xp.zeros_like(others), others)))


def finite_max(xp: Namespace, x: Array, axis: int) -> Array:
    """The maximum along an axis, which is kept. It is 0 where the maximum is infinite, because inf - inf is nan."""
    top = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(top), top, xp.zeros_like(top))
