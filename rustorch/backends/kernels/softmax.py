"""Softmax, log_softmax and logsumexp, each with its gradient."""

from __future__ import annotations

from typing import Any


def softmax(xp: Any, x: Any, axis: int) -> Any:
    """``exp(x) / sum(exp(x), axis)``."""
    if not x.shape[axis]:
        return xp.zeros_like(x)
    shifted = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return shifted / xp.sum(shifted, axis=axis, keepdims=True)


def softmax_grad(xp: Any, g: Any, out: Any, axis: int) -> Any:
    """``out * (g - mean)`` for the mean of g weighted by ``out``.

    Where ``out`` is all but 1, that mean is all but g there, and their difference is what was rounded off. So the mean
    is subtracted, and then the mean of what is left, which is accurate: it no longer has the one large term.
    """
    rest = g - xp.sum(g * out, axis=axis, keepdims=True)
    return out * (rest - xp.sum(rest * out, axis=axis, keepdims=True))


def log_softmax(xp: Any, x: Any, axis: int) -> Any:
    """``log(softmax(x))`` without computing the softmax."""
    if not x.shape[axis]:
        return xp.zeros_like(x)
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - _log_sum(xp, shifted, axis)


def log_softmax_grad(xp: Any, g: Any, out: Any, axis: int) -> Any:
    """``g - p * sum(g)`` for p = exp(out), as ``g * (1 - p) - p * (sum(g) - g)``: 1 - p keeps its digits where p is all
    but 1.
    """
    return -(g * xp.expm1(out)) - xp.exp(out) * (xp.sum(g, axis=axis, keepdims=True) - g)


def logsumexp(xp: Any, x: Any, axis: int) -> Any:
    """``log(sum(exp(x), axis))`` with the axis kept; shifted by the maximum, so that it does not overflow. -inf of
    nothing.

    Source: Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """
    if not x.shape[axis]:
        return xp.sum(x, axis=axis, keepdims=True) - xp.inf
    top = finite_max(xp, x, axis)
    return _log_sum(xp, x - top, axis) + top


def logsumexp_grad(xp: Any, g: Any, x: Any, out: Any, axis: int) -> Any:
    """``g * softmax(x)``; that of infinity goes to the elements that attain it, evenly, and of nothing but -infinity
    there is none.
    """
    attained = xp.where(x == out, xp.zeros_like(x), xp.full_like(x, -xp.inf))
    dx = g * softmax(xp, xp.where(xp.isinf(out), attained, x), axis)
    return xp.where(out == -xp.inf, xp.zeros_like(dx), dx)


def _log_sum(xp: Any, shifted: Any, axis: int) -> Any:
    """``log(sum(exp(shifted)))`` of what is 0 at most: one of the largest terms, which are 1, is left to log1p."""
    largest = shifted == 0
    others = xp.sum(xp.where(largest, xp.zeros_like(shifted), xp.exp(shifted)), axis=axis, keepdims=True)
    others = others + (xp.sum(xp.astype(largest, shifted.dtype), axis=axis, keepdims=True) - 1)
    none = others == -1  # of nothing but -infinity, which is no reason to warn of the logarithm of 0
    return xp.where(none, xp.full_like(others, -xp.inf), xp.log1p(xp.where(none, xp.zeros_like(others), others)))


def finite_max(xp: Any, x: Any, axis: int) -> Any:
    """The maximum along an axis, kept; 0 where it is infinite, since inf - inf is nan."""
    top = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(top), top, xp.zeros_like(top))
