"""Routines that every training step runs: linear, rectifier, the softmax family, cross-entropy."""

from __future__ import annotations

from math import prod
from typing import Any

__all__ = [
    "cross_entropy", "cross_entropy_grad", "kept", "linear", "linear_grad_weight", "log_softmax", "log_softmax_grad",
    "logsumexp", "logsumexp_grad", "mse", "relu", "relu_grad", "sigmoid", "softmax", "softmax_grad",
]  # fmt: skip


def linear(xp: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    """``x @ weight.T + bias``; x is (..., in), weight (out, in), bias (out,) or None."""
    out = xp.matmul(x, xp.matrix_transpose(weight))
    return out if bias is None else out + bias


def linear_grad_weight(xp: Any, g: Any, x: Any) -> Any:
    """The transpose of linear in its weight, summed over all leading axes; g is (..., out), x is (..., in)."""
    rows = xp.reshape(g, (-1 if g.shape[-1] else prod(g.shape[:-1]), g.shape[-1])) if g.ndim != 2 else g
    return xp.matmul(xp.matrix_transpose(rows), xp.reshape(x, (rows.shape[0], x.shape[-1])) if x.ndim != 2 else x)


def kept(xp: Any, x: Any, mask: Any) -> Any:
    """``x * mask``, and 0 where the mask is 0, whatever x is; the mask broadcasts to x. What dropout computes."""
    return xp.where(mask == 0, xp.zeros_like(x), x) * mask


def relu(xp: Any, x: Any) -> Any:
    return xp.maximum(x, xp.zeros_like(x))


def relu_grad(xp: Any, g: Any, out: Any) -> Any:
    """``g`` where the rectifier's output is positive (or nan), else zero."""
    return xp.where(out <= 0, xp.zeros_like(g), g)


def sigmoid(xp: Any, x: Any) -> Any:
    """``1 / (1 + exp(-x))``, from ``exp(-abs(x))`` so that nothing overflows; of complex numbers, from that of the half
    plane below 0.
    """
    if xp.isdtype(x.dtype, "complex floating"):
        above = xp.real(x) >= 0
        e = xp.exp(xp.where(above, -x, x))
    else:
        above = x >= 0
        e = xp.exp(-xp.abs(x))
    return xp.where(above, xp.ones_like(e), e) / (1 + e)


def mse(xp: Any, x: Any, target: Any, divisor: float) -> Any:
    """Sum of squared differences over ``divisor``; the shapes broadcast."""
    d = x - target
    return xp.sum(d * d) / divisor


def logsumexp(xp: Any, x: Any, axis: int) -> Any:
    """``log(sum(exp(x), axis))`` with the axis kept; shifted by the maximum, so that it does not overflow. -inf of
    nothing.

    Source: Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """
    if not x.shape[axis]:
        return xp.sum(x, axis=axis, keepdims=True) - xp.inf
    top = _finite_max(xp, x, axis)
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


def _finite_max(xp: Any, x: Any, axis: int) -> Any:
    """The maximum along an axis, kept; 0 where it is infinite, since inf - inf is nan."""
    top = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(top), top, xp.zeros_like(top))


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


def cross_entropy(
    xp: Any, x: Any, target: Any, weight: Any, ignore: int | None, reduction: str
) -> tuple[Any, Any, Any, Any, Any]:
    """``-sum(t * log_softmax(x), axis=1)`` for every row, or the sum or mean of these over the rows.

    Parameters
    ----------
    x : (n, classes)
        Logits.
    target : (n,) integers in [0, classes), or (n, classes) weights of the classes
    weight : (classes,), or None
        For integers: what a row of each class counts.
    ignore : int or None
        For integers: rows of this class count nothing, whatever is in them; None if there are none.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of what the rows count; each counts 1 where the target holds weights.

    Returns
    -------
    loss : () or (n,)
    top : (n,)
        The rows' maxima, finite. (They stay apart: in a logsumexp, large logits would round small differences away.)
    p : (n, classes)
        ``exp(x - top)``: a softmax, not normalised. 1 in a row that counts nothing and whose maximum is not finite.
    total : (n,)
        Its sums.
    divisor : number, or array of shape (), or None
        What the sum of the rows was divided by; None without a sum.
    """
    safe, each = (target, None) if target.ndim == 2 else counted_rows(xp, target, weight, ignore, x)
    if each is not None:  # an ignored row's nan or infinity must not spread, nor make nan of a derivative that is 0
        kept = xp.logical_or(each != 0, xp.isfinite(xp.max(x, axis=1)))
        x = xp.where(xp.expand_dims(kept, axis=1), x, xp.zeros_like(x))
    top = _finite_max(xp, x, 1)
    shifted = x - top
    p = xp.exp(shifted)
    total = xp.sum(p, axis=1)
    log_sum = xp.log(total)
    divisor: Any = {"mean": x.shape[0], "sum": 1, "none": None}[reduction]
    if target.ndim == 2:
        each_class = xp.expand_dims(log_sum, axis=1) - shifted
        impossible = xp.logical_and(target == 0, xp.isinf(each_class))  # and not asked for
        loss = xp.sum(target * xp.where(impossible, xp.zeros_like(each_class), each_class), axis=1)
    else:
        loss = log_sum - xp.squeeze(xp.take_along_axis(shifted, xp.expand_dims(safe, axis=1), axis=1), axis=1)
        if each is not None:
            loss = xp.where(each != 0, loss, xp.zeros_like(loss)) * each
            divisor = xp.sum(each) if reduction == "mean" else divisor
    return (loss if divisor is None else _over(xp, xp.sum(loss), divisor)), xp.squeeze(top, axis=1), p, total, divisor


def _over(xp: Any, total: Any, divisor: Any) -> Any:
    """``total / divisor``; over the sum of what rows count, nan if that is 0."""
    if not hasattr(divisor, "dtype"):
        return total / divisor
    nothing = divisor == 0
    return xp.where(nothing, xp.full_like(total, xp.nan), total / xp.where(nothing, xp.ones_like(divisor), divisor))


def counted_rows(xp: Any, target: Any, weight: Any, ignore: int | None, like: Any) -> tuple[Any, Any]:
    """The classes of rows, 0 for ignored ones, and what each row counts in the dtype of ``like``; None if each counts
    1.
    """
    counts = None if ignore is None else target != ignore
    safe = target if counts is None else xp.where(counts, target, xp.zeros_like(target))
    if weight is None:
        return safe, None if counts is None else xp.astype(counts, like.dtype)
    each = xp.take(weight, safe, axis=0)
    return safe, each if counts is None else xp.where(counts, each, xp.zeros_like(each))


def cross_entropy_grad(
    xp: Any, g: Any, p: Any, total: Any, target: Any, weight: Any, divisor: Any, ignore: int | None
) -> Any:
    """The gradient of ``cross_entropy`` in ``x``; ``g`` is the gradient of its loss."""
    if divisor is not None:
        g = xp.broadcast_to(_over(xp, g, divisor), (p.shape[0],))
    if target.ndim == 2:
        p = p / xp.expand_dims(total, axis=1)
        return xp.expand_dims(g, axis=1) * (p * xp.sum(target, axis=1, keepdims=True) - target)
    safe, each = counted_rows(xp, target, weight, ignore, total)
    if each is not None:
        g = xp.where(each == 0, xp.zeros_like(each), g * each)
    p = p / xp.expand_dims(total, axis=1)
    hot = xp.expand_dims(safe, axis=1) == xp.expand_dims(xp.positions(safe, p.shape[1]), axis=0)
    return xp.expand_dims(g, axis=1) * xp.where(hot, p - 1, p)
