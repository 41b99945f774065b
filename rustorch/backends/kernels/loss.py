"""Losses of single numbers with their derivatives: each is right up to the ends of the range, and at infinity where it
has a limit.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_grad", "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_grad", "finite_quotient", "gaussian_slope", "huber", "huber_grad", "quotient",
    "smooth_l1", "smooth_l1_grad",
]  # fmt: skip

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


def gaussian_slope(xp: Any, d: Any, var: Any) -> Any:
    """The derivative of ``(log(v) + d * d / v) / 2`` in the variance v: ``(1 / v - (d / v)**2) / 2``."""
    each = d / var
    return 0.5 * (1 / var - each * each)


def quotient(xp: Any, total: Any, count: Any) -> Any:
    """``total / count``: nan or infinite, without a warning, where nothing was counted."""
    nothing = count == 0
    endless = xp.where(xp.abs(total) > 0, xp.copysign(xp.full_like(total, xp.inf), total), xp.full_like(total, xp.nan))
    return xp.where(nothing, endless, total / xp.where(nothing, xp.ones_like(count), count))


def finite_quotient(xp: Any, total: Any, count: Any) -> Any:
    """``total / count``, and 0 where nothing was counted."""
    nothing = count == 0
    return xp.where(nothing, xp.zeros_like(total), total) / xp.where(nothing, xp.ones_like(count), count)
