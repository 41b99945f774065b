"""Losses and their gradients, accurate for all numbers, and at infinity where they have a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .softmax import finite_max

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: The smallest logarithm of a probability, and the smallest denominator of its derivative; both as in PyTorch.
LOWEST, SMALLEST = -100.0, 1e-12


def huber(xp: Namespace, d: Array, delta: float) -> Array:
    """``d * d / 2`` near 0, and linear beyond ``delta``. With c, which is d clipped to [-delta, delta], both parts are
    ``c * (d - c / 2)``.
    """
    c = xp.clip(d, -delta, delta)
    return c * (d - 0.5 * c)


def huber_grad(xp: Namespace, g: Array, d: Array, delta: float) -> Array:
    """The gradient of `huber` in d."""
    return g * xp.clip(d, -delta, delta)


def smooth_l1(xp: Namespace, d: Array, beta: float) -> Array:
    """``huber(d, beta) / beta``. It divides before it multiplies: a product of small numbers could underflow."""
    c = xp.clip(d, -beta, beta)
    return c / beta * (d - 0.5 * c)


def smooth_l1_grad(xp: Namespace, g: Array, d: Array, beta: float) -> Array:
    """The gradient of `smooth_l1` in d."""
    return g * (xp.clip(d, -beta, beta) / beta)


def _logarithm(xp: Namespace, x: Array) -> Array:
    """``log(x)``, but -100 at least, without a warning at 0."""
    zero = x <= 0
    out = xp.log(xp.where(zero, xp.ones_like(x), x))
    return xp.where(xp.logical_or(zero, out < LOWEST), xp.full_like(x, LOWEST), out)


def _logarithm_of_other(xp: Namespace, x: Array) -> Array:
    """``log(1 - x)``, but -100 at least. It is exact also for an x so small that ``1 - x`` is 1."""
    one = x >= 1
    return xp.where(one, xp.full_like(x, LOWEST), xp.log1p(-xp.where(one, xp.zeros_like(x), x)))


def binary_cross_entropy(xp: Namespace, x: Array, target: Array) -> Array:
    """Binary cross-entropy: ``-t * log(x) - (1 - t) * log(1 - x)``, with logarithms of -100 at least."""
    return -(target * _logarithm(xp, x) + (1 - target) * _logarithm_of_other(xp, x))


def binary_cross_entropy_grad(xp: Namespace, g: Array, x: Array, target: Array) -> Array:
    """The gradient of `binary_cross_entropy` in x."""
    v = x * (1 - x)
    return g * ((x - target) / xp.where(v < SMALLEST, xp.full_like(v, SMALLEST), v))


def binary_cross_entropy_grad_target(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of `binary_cross_entropy` in its target."""
    return g * (_logarithm_of_other(xp, x) - _logarithm(xp, x))


def binary_cross_entropy_with_logits(xp: Namespace, x: Array, target: Array, positive: Array | None) -> Array:
    """``-p * t * log(sigmoid(x)) - (1 - t) * log(sigmoid(-x))`` for a target t, and p or None: the weight of positives.

    It is computed as ``abs(x)`` times a slope, p * t below 0 and 1 - t above, plus ``log(1 + exp(-abs(x)))`` times the
    sum of both slopes. So no large numbers are subtracted, and a correct prediction with infinite x costs 0.
    """
    size, above = xp.abs(x), 1 - target
    below = target if positive is None else positive * target
    slope = xp.where(x > 0, above, below)
    rest = xp.log1p(xp.exp(-size))
    return xp.where(slope == 0, xp.zeros_like(size), size) * slope + (
        rest if positive is None else (above + below) * rest
    )


def binary_cross_entropy_with_logits_grad(
    xp: Namespace, g: Array, x: Array, target: Array, positive: Array | None
) -> Array:
    """``(1 - t) * sigmoid(x) - p * t * sigmoid(-x)``, both over the denominator ``1 + exp(-abs(x))``.

    Near 0 the exponential is almost 1, so ``expm1`` is used: it keeps the digits of the difference from 1.
    """
    size, above = xp.abs(x), 1 - target
    below = target if positive is None else positive * target
    e = xp.exp(-size)
    far = xp.where(x > 0, above - below * e, above * e - below)
    near = above - below - xp.where(x > 0, below, -above) * xp.expm1(-size)
    return g * (xp.where(size < 1, near, far) / (1 + e))


def gaussian_nll_slope(xp: Namespace, d: Array, var: Array) -> Array:
    """The derivative of ``(log(v) + d * d / v) / 2`` in the variance v, ``(1 / v - (d / v) ** 2) / 2``."""
    each = d / var
    return 0.5 * (1 / var - each * each)


def reduced_huber(xp: Namespace, d: Array, delta: float, reduction: str) -> Array:
    """The "mean" or "sum" of `huber`."""
    return _reduced(xp, xp.huber(d, delta), reduction)


def reduced_smooth_l1(xp: Namespace, d: Array, beta: float, reduction: str) -> Array:
    """The "mean" or "sum" of `smooth_l1`."""
    return _reduced(xp, xp.smooth_l1(d, beta), reduction)


def reduced_binary_cross_entropy(xp: Namespace, x: Array, target: Array, reduction: str) -> Array:
    """The "mean" or "sum" of `binary_cross_entropy`."""
    return _reduced(xp, xp.binary_cross_entropy(x, target), reduction)


def reduced_binary_cross_entropy_with_logits(
    xp: Namespace, x: Array, target: Array, positive: Array | None, reduction: str
) -> Array:
    """The "mean" or "sum" of `binary_cross_entropy_with_logits`."""
    return _reduced(xp, xp.binary_cross_entropy_with_logits(x, target, positive), reduction)


def _reduced(xp: Namespace, losses: Array, reduction: str) -> Array:
    return xp.mean(losses) if reduction == "mean" else xp.sum(losses)


def quotient(xp: Namespace, total: Array, count: Array) -> Array:
    """``total / count``; nan or infinity, without a warning, where the count is 0."""
    is_zero = count == 0
    infinite = xp.where(xp.abs(total) > 0, xp.copysign(xp.full_like(total, xp.inf), total), xp.full_like(total, xp.nan))
    return xp.where(is_zero, infinite, total / xp.where(is_zero, xp.ones_like(count), count))


def quotient_or_zero(xp: Namespace, total: Array, count: Array) -> Array:
    """``total / count``, or 0 where the count is 0."""
    is_zero = count == 0
    return xp.where(is_zero, xp.zeros_like(total), total) / xp.where(is_zero, xp.ones_like(count), count)


def mse(xp: Namespace, x: Array, target: Array, divisor: float) -> Array:
    """The sum of squared differences, divided by ``divisor``. The shapes broadcast."""
    return xp.sum(squared_difference(xp, x, target)) / divisor


def squared_difference(xp: Namespace, x: Array, target: Array) -> Array:
    """The terms of `mse`."""
    d = x - target
    return d * d


def mse_grad(xp: Namespace, g: Array, x: Array, target: Array, factor: float) -> Array:
    """The gradient of `mse` in ``x``, with ``2 / divisor`` as the factor; with x and the target swapped, the gradient
    in the target.
    """
    return (x - target) * (g * factor)


def cross_entropy(
    xp: Namespace, x: Array, target: Array, weight: Array | None, ignore: int | None, reduction: str
) -> tuple[Array, Array, Array, Array, Array]:
    """``-sum(t * log_softmax(x), axis=1)`` for every row, or the sum or the mean of these losses over the rows.

    Parameters
    ----------
    x : (n, classes)
        Logits.
    target : (n,) integers in [0, classes), or (n, classes) weights of the classes
    weight : (classes,), or None
        For integer targets: the weight of a row of each class.
    ignore : int or None
        For integer targets: rows of this class have weight 0, whatever they contain. None ignores no row.
    reduction : {"mean", "sum", "none"}
        The mean divides by the sum of the rows' weights. If the target has weights of the classes, each row's is 1.

    Returns
    -------
    loss : () or (n,)
    top : (n,)
        The maxima of the rows, finite. They are not added to the logarithms of ``total``: large logits would round
        small differences away.
    p : (n, classes)
        ``exp(x - top)``, a softmax that is not normalised. It is 1 in a row of weight 0 whose maximum is not finite.
    total : (n,)
        The sums of the rows of ``p``.
    divisor : number, or array of shape (), or None
        What the sum of the losses was divided by; None without a sum.
    """
    safe, each = (target, None) if target.ndim == 2 else row_weights(xp, target, weight, ignore, x)
    if each is not None:  # nan or infinity in an ignored row must not spread, and its derivative is 0
        used = xp.logical_or(each != 0, xp.isfinite(xp.max(x, axis=1)))
        x = xp.where(xp.expand_dims(used, axis=1), x, xp.zeros_like(x))
    top = finite_max(xp, x, 1)
    shifted = x - top
    p = xp.exp(shifted)
    total = xp.sum(p, axis=1)
    log_sum = xp.log(total)
    divisor: Any = {"mean": x.shape[0], "sum": 1, "none": None}[reduction]
    if target.ndim == 2:
        each_class = xp.expand_dims(log_sum, axis=1) - shifted
        impossible = xp.logical_and(target == 0, xp.isinf(each_class))  # 0 times infinity counts as 0
        loss = xp.sum(target * xp.where(impossible, xp.zeros_like(each_class), each_class), axis=1)
    else:
        loss = log_sum - xp.squeeze(xp.take_along_axis(shifted, xp.expand_dims(safe, axis=1), axis=1), axis=1)
        if each is not None:
            loss = xp.where(each != 0, loss, xp.zeros_like(loss)) * each
            divisor = xp.sum(each) if reduction == "mean" else divisor
    return (loss if divisor is None else _over(xp, xp.sum(loss), divisor)), xp.squeeze(top, axis=1), p, total, divisor


def cross_entropy_grad(
    xp: Namespace,
    g: Array,
    p: Array,
    total: Array,
    target: Array,
    weight: Array | None,
    divisor: Any,
    ignore: int | None,
) -> Array:
    """The gradient of `cross_entropy` in ``x``; ``g`` is the gradient of its loss."""
    if divisor is not None:
        g = xp.broadcast_to(_over(xp, g, divisor), (p.shape[0],))
    if target.ndim == 2:
        p = p / xp.expand_dims(total, axis=1)
        return xp.expand_dims(g, axis=1) * (p * xp.sum(target, axis=1, keepdims=True) - target)
    safe, each = row_weights(xp, target, weight, ignore, total)
    if each is not None:
        g = xp.where(each == 0, xp.zeros_like(each), g * each)
    p = p / xp.expand_dims(total, axis=1)
    hot = xp.expand_dims(safe, axis=1) == xp.expand_dims(xp.arange_like(safe, p.shape[1]), axis=0)
    return xp.expand_dims(g, axis=1) * xp.where(hot, p - 1, p)


def row_weights(
    xp: Namespace, target: Array, weight: Array | None, ignore: int | None, like: Array
) -> tuple[Array, Array | None]:
    """The classes of the rows, with 0 for ignored rows; and the rows' weights in the dtype of ``like``, or None if all
    weights are 1.
    """
    counts = None if ignore is None else target != ignore
    safe = target if counts is None else xp.where(counts, target, xp.zeros_like(target))
    if weight is None:
        return safe, None if counts is None else xp.astype(counts, like.dtype)
    each = xp.take(weight, safe, axis=0)
    return safe, each if counts is None else xp.where(counts, each, xp.zeros_like(each))


def _over(xp: Namespace, total: Array, divisor: Any) -> Array:
    """``total / divisor``. If the divisor is an array, the sum of the rows' weights, and it is 0: nan."""
    if not hasattr(divisor, "dtype"):
        return total / divisor
    is_zero = divisor == 0
    return xp.where(is_zero, xp.full_like(total, xp.nan), total / xp.where(is_zero, xp.ones_like(divisor), divisor))
