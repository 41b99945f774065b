"""Losses of single numbers with their derivatives: each is right up to the ends of the range, and at infinity where it
has a limit.
"""

from __future__ import annotations

from typing import Any

from .softmax import finite_max

#: Logarithms of probabilities are -100 at least, and the quotients of derivatives are divided by this at least, as in
#: PyTorch.
LOWEST, SMALLEST = -100.0, 1e-12


def huber(xp: Any, d: Any, delta: float) -> Any:
    """``d * d / 2`` near 0 and straight beyond: with c, d brought into [-delta, delta], both are ``c * (d - c
    / 2)``.
    """
    c = xp.clip(d, -delta, delta)
    return c * (d - 0.5 * c)


def huber_grad(xp: Any, g: Any, d: Any, delta: float) -> Any:
    return g * xp.clip(d, -delta, delta)


def smooth_l1(xp: Any, d: Any, beta: float) -> Any:
    """``huber(d, beta) / beta``; c is divided before it is multiplied, for a product of small numbers may underflow."""
    c = xp.clip(d, -beta, beta)
    return c / beta * (d - 0.5 * c)


def smooth_l1_grad(xp: Any, g: Any, d: Any, beta: float) -> Any:
    return g * (xp.clip(d, -beta, beta) / beta)


def logarithm(xp: Any, x: Any) -> Any:
    """The logarithm, -100 at least, and without a warning at 0."""
    zero = x <= 0
    out = xp.log(xp.where(zero, xp.ones_like(x), x))
    return xp.where(xp.logical_or(zero, out < LOWEST), xp.full_like(x, LOWEST), out)


def logarithm_of_other(xp: Any, x: Any) -> Any:
    """``log(1 - x)``, -100 at least: exact where x is so small that ``1 - x`` would lose it."""
    one = x >= 1
    return xp.where(one, xp.full_like(x, LOWEST), xp.log1p(-xp.where(one, xp.zeros_like(x), x)))


def binary_cross_entropy(xp: Any, x: Any, target: Any) -> Any:
    """Binary cross-entropy: ``-t * log(x) - (1 - t) * log(1 - x)``, with logarithms of -100 at least."""
    return -(target * logarithm(xp, x) + (1 - target) * logarithm_of_other(xp, x))


def binary_cross_entropy_grad(xp: Any, g: Any, x: Any, target: Any) -> Any:
    v = x * (1 - x)
    return g * ((x - target) / xp.where(v < SMALLEST, xp.full_like(v, SMALLEST), v))


def binary_cross_entropy_grad_target(xp: Any, g: Any, x: Any) -> Any:
    """The gradient of `binary_cross_entropy` in its target."""
    return g * (logarithm_of_other(xp, x) - logarithm(xp, x))


def binary_cross_entropy_with_logits(xp: Any, x: Any, target: Any, positive: Any) -> Any:
    """``-p * t * log(sigmoid(x)) - (1 - t) * log(sigmoid(-x))`` for what a positive counts, p; None for 1.

    It is ``abs(x)`` times p * t below 0 and times 1 - t above, plus ``log(1 + exp(-abs(x)))``, of which each counts: no
    large numbers are subtracted, and an infinite x that is right costs nothing.
    """
    size, above = xp.abs(x), 1 - target
    below = target if positive is None else positive * target
    slope = xp.where(x > 0, above, below)
    rest = xp.log1p(xp.exp(-size))
    return xp.where(slope == 0, xp.zeros_like(size), size) * slope + (
        rest if positive is None else (above + below) * rest
    )


def binary_cross_entropy_with_logits_grad(xp: Any, g: Any, x: Any, target: Any, positive: Any) -> Any:
    """``(1 - t) * sigmoid(x) - p * t * sigmoid(-x)``, over one denominator.

    Near 0 the exponential is almost 1: there its distance from 1 is subtracted from what is left of 1 - t and p * t.
    """
    size, above = xp.abs(x), 1 - target
    below = target if positive is None else positive * target
    e = xp.exp(-size)
    far = xp.where(x > 0, above - below * e, above * e - below)
    near = above - below - xp.where(x > 0, below, -above) * xp.expm1(-size)
    return g * (xp.where(size < 1, near, far) / (1 + e))


def gaussian_nll_slope(xp: Any, d: Any, var: Any) -> Any:
    """The derivative of ``(log(v) + d * d / v) / 2`` in the variance v: ``(1 / v - (d / v)**2) / 2``."""
    each = d / var
    return 0.5 * (1 / var - each * each)


def quotient(xp: Any, total: Any, count: Any) -> Any:
    """``total / count``: nan or infinite, without a warning, where nothing was counted."""
    nothing = count == 0
    endless = xp.where(xp.abs(total) > 0, xp.copysign(xp.full_like(total, xp.inf), total), xp.full_like(total, xp.nan))
    return xp.where(nothing, endless, total / xp.where(nothing, xp.ones_like(count), count))


def quotient_or_zero(xp: Any, total: Any, count: Any) -> Any:
    """``total / count``, and 0 where nothing was counted."""
    nothing = count == 0
    return xp.where(nothing, xp.zeros_like(total), total) / xp.where(nothing, xp.ones_like(count), count)


def mse(xp: Any, x: Any, target: Any, divisor: float) -> Any:
    """Sum of squared differences over ``divisor``; the shapes broadcast."""
    d = x - target
    return xp.sum(d * d) / divisor


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
    top = finite_max(xp, x, 1)
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
    hot = xp.expand_dims(safe, axis=1) == xp.expand_dims(xp.arange_like(safe, p.shape[1]), axis=0)
    return xp.expand_dims(g, axis=1) * xp.where(hot, p - 1, p)


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


def _over(xp: Any, total: Any, divisor: Any) -> Any:
    """``total / divisor``; over the sum of what rows count, nan if that is 0."""
    if not hasattr(divisor, "dtype"):
        return total / divisor
    nothing = divisor == 0
    return xp.where(nothing, xp.full_like(total, xp.nan), total / xp.where(nothing, xp.ones_like(divisor), divisor))
