"""Losses with hand-derived rules: those of two arrays, element by element, and that of sequences."""

from __future__ import annotations

from typing import Any

from ...autograd.primitive import Primitive

__all__ = ["binary_cross_entropy", "ctc_loss", "huber"]


def _huber(xp: Any, d: Any, /, delta: float) -> Any:
    """``d * d / 2`` near 0 and straight beyond: with c, d brought into [-delta, delta], both are ``c * (d - c / 2)``."""
    c = xp.clip(d, -delta, delta)
    return c * (d - 0.5 * c)


huber = Primitive("huber", _huber, d=lambda xp, g, d, delta: g * xp.clip(d, -delta, delta))


def _log(xp: Any, x: Any) -> Any:
    """The logarithm, -100 at least, as PyTorch has it, and without a warning at 0."""
    zero = x <= 0
    out = xp.log(xp.where(zero, xp.ones_like(x), x))
    return xp.where(xp.logical_or(zero, out < -100), xp.full_like(x, -100.0), out)


def _variance(xp: Any, x: Any) -> Any:
    """``x * (1 - x)``, no smaller than what it can be divided by."""
    v = x * (1 - x)
    return xp.where(v < 1e-12, xp.full_like(x, 1e-12), v)


binary_cross_entropy = Primitive(
    "binary_cross_entropy",
    lambda xp, x, target, /: -(target * _log(xp, x) + (1 - target) * _log(xp, 1 - x)),
    x=lambda xp, g, x, target: g * (x - target) / _variance(xp, x),
    target=lambda xp, g, x: g * (_log(xp, 1 - x) - _log(xp, x)),
)

#: The rule is a kernel and no primitive: of second order, its steps are recorded.
ctc_loss = Primitive(
    "ctc_loss",
    lambda xp, log_probs, labels, input_lengths, target_lengths, /, blank: xp.ctc_loss(
        log_probs, labels, input_lengths, target_lengths, blank
    ),
    aux=("alpha",),
    log_probs=lambda xp, g, log_probs, labels, input_lengths, target_lengths, blank, out, alpha: xp.ctc_loss_grad(
        g, log_probs, labels, input_lengths, target_lengths, blank, out, alpha
    ),
)
