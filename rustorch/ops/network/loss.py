"""Primitives of losses, with hand-derived rules: elementwise ones, cross-entropy, mean squares, and CTC.

Where a factor is 0 and the other one is infinite, the product here is its limit, 0. So `weighed` and the losses replace
the infinite factor before they multiply. They never replace the product: it keeps its derivatives of every order.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from ...autograd.fusable import elementwise
from ...autograd.primitive import Primitive

if TYPE_CHECKING:
    from ...typing import Array, Namespace

__all__ = [
    "at_least", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "ctc_loss", "gaussian_nll",
    "huber", "kl_div", "kl_div_of_logs", "mse", "poisson_nll", "poisson_nll_of_logs", "quotient",
    "reduced_binary_cross_entropy", "reduced_binary_cross_entropy_with_logits", "reduced_huber", "reduced_smooth_l1",
    "smooth_l1", "weighed",
]  # fmt: skip

#: Second derivatives of binary cross-entropy divide by this number at least, as the kernel of the first one does.
_LEAST_DIVISOR = 1e-12


def _times(xp: Namespace, factor: Array, x: Array) -> Array:
    """``factor * x``, and 0 where the factor is 0 and x is infinite."""
    return factor * xp.where(xp.logical_and(factor == 0, xp.isinf(x)), xp.zeros_like(x), x)


def _times_finite(xp: Namespace, factor: Array, g: Array) -> Array:
    """``factor * g``, and 0 where the factor is 0. There an infinite mean makes the gradient g infinite or nan."""
    lost = xp.logical_and(factor == 0, xp.logical_not(xp.isfinite(g)))
    return factor * xp.where(lost, xp.zeros_like(g), g)


#: Losses times their weights.
weighed = elementwise(
    "weighed",
    lambda xp, x, weight, /: _times(xp, weight, x),
    x=lambda xp, g, weight: _times_finite(xp, weight, g),
    weight=lambda xp, g, x: _times(xp, g, x),
)
#: A sum divided by its count, or by its sum of weights. Where the count is 0, the gradient is 0.
quotient = Primitive(
    "quotient",
    lambda xp, total, count, /: xp.quotient(total, count),
    total=lambda xp, g, count: xp.quotient_or_zero(g, count),
    count=lambda xp, g, count, out: -xp.quotient_or_zero(g * out, count),
)
quotient_or_zero = Primitive(
    "quotient_or_zero",
    lambda xp, total, count, /: xp.quotient_or_zero(total, count),
    total=lambda xp, g, count: xp.quotient_or_zero(g, count),
    count=lambda xp, g, count, out: -xp.quotient_or_zero(g * out, count),
)
#: ``max(x, least)`` with the gradient of x everywhere, as PyTorch has it.
at_least = Primitive("at_least", lambda xp, x, /, least: xp.clip(x, least, None), x=lambda xp, g: g)


# -- cross-entropy and mean squares ------------------------------------------------------------------------------------
def _target_of_cross_entropy(xp: Namespace, g: Array, x: Array, top: Array, total: Array, divisor: Any) -> Array:
    g = xp.expand_dims(g, axis=1) if divisor is None else g / divisor
    return g * (xp.expand_dims(xp.log(total), axis=1) - (x - xp.expand_dims(top, axis=1)))


cross_entropy = Primitive(
    "cross_entropy",
    lambda xp, x, target, weight, /, ignore, reduction: xp.cross_entropy(x, target, weight, ignore, reduction),
    aux=("top", "p", "total", "divisor"),
    x=lambda xp, g, p, total, target, weight, divisor, ignore: xp.cross_entropy_grad(
        g, p, total, target, weight, divisor, ignore
    ),
    target=_target_of_cross_entropy,
)
mse = Primitive(
    "mse",
    lambda xp, x, target, /, divisor: xp.mse(x, target, divisor),
    x=lambda xp, g, x, target, divisor: xp.mse_grad(g, x, target, 2 / divisor),
    target=lambda xp, g, x, target, divisor: xp.mse_grad(g, target, x, 2 / divisor),
)


# -- straight far from 0, and a parabola near it: beyond the corner the second derivative is 0 -------------------------
def _near_zero(xp: Namespace, d: Array, limit: float, x: Array) -> Array:
    """``x`` where ``d`` lies in (-limit, limit), else 0."""
    return xp.where(xp.abs(d) < limit, x, xp.zeros_like(x))


huber = Primitive(
    "huber", lambda xp, d, /, delta: xp.huber(d, delta), d=lambda xp, g, d, delta: xp.huber_grad(g, d, delta)
)
huber_grad = Primitive(
    "huber_grad",
    lambda xp, g_out, d, /, delta: xp.huber_grad(g_out, d, delta),
    g_out=lambda xp, g, d, delta: xp.huber_grad(g, d, delta),
    d=lambda xp, g, g_out, d, delta: _near_zero(xp, d, delta, g * g_out),
)
smooth_l1 = Primitive(
    "smooth_l1", lambda xp, d, /, beta: xp.smooth_l1(d, beta), d=lambda xp, g, d, beta: xp.smooth_l1_grad(g, d, beta)
)
smooth_l1_grad = Primitive(
    "smooth_l1_grad",
    lambda xp, g_out, d, /, beta: xp.smooth_l1_grad(g_out, d, beta),
    g_out=lambda xp, g, d, beta: xp.smooth_l1_grad(g, d, beta),
    d=lambda xp, g, g_out, d, beta: _near_zero(xp, d, beta, g * g_out) / beta,
)


# -- two classes -------------------------------------------------------------------------------------------------------
def _as_divisor(xp: Namespace, x: Array) -> Array:
    return xp.where(x < _LEAST_DIVISOR, xp.full_like(x, _LEAST_DIVISOR), x)


def _curvature(xp: Namespace, x: Array, target: Array) -> Array:
    """The second derivative of binary cross-entropy. No term is negative, so no digits cancel."""
    one, other = _as_divisor(xp, x), _as_divisor(xp, 1 - x)
    return target / one / one + (1 - target) / other / other


binary_cross_entropy = Primitive(
    "binary_cross_entropy",
    lambda xp, x, target, /: xp.binary_cross_entropy(x, target),
    x=lambda xp, g, x, target: xp.binary_cross_entropy_grad(g, x, target),
    target=lambda xp, g, x: xp.binary_cross_entropy_grad_target(g, x),
)
binary_cross_entropy_grad = Primitive(
    "binary_cross_entropy_grad",
    lambda xp, g_out, x, target, /: xp.binary_cross_entropy_grad(g_out, x, target),
    g_out=lambda xp, g, x, target: xp.binary_cross_entropy_grad(g, x, target),
    x=lambda xp, g, g_out, x, target: g * g_out * _curvature(xp, x, target),
    target=lambda xp, g, g_out, x: -(g * g_out) / _as_divisor(xp, x * (1 - x)),
)


def _softplus(xp: Namespace, x: Array) -> Array:
    return xp.logaddexp(x, xp.zeros_like(x))


def _target_of_logits(xp: Namespace, g: Array, x: Array, positive: Array | None) -> Array:
    return -g * x if positive is None else g * (_times(xp, positive, _softplus(xp, -x)) - _softplus(xp, x))


def _positive_of_logits(xp: Namespace, g: Array, x: Array, target: Array) -> Array:
    return g * _times(xp, target, _softplus(xp, -x))


binary_cross_entropy_with_logits = Primitive(
    "binary_cross_entropy_with_logits",
    lambda xp, x, target, positive, /: xp.binary_cross_entropy_with_logits(x, target, positive),
    x=lambda xp, g, x, target, positive: xp.binary_cross_entropy_with_logits_grad(g, x, target, positive),
    target=_target_of_logits,
    positive=_positive_of_logits,
)


def _mean_of_slopes(xp: Namespace, x: Array, target: Array, positive: Array | None) -> Array:
    """The second derivative of binary cross-entropy with logits."""
    weight = 1 if positive is None else 1 - target + positive * target
    return weight * (xp.sigmoid(x) * xp.sigmoid(-x))


def _target_of_logits_grad(xp: Namespace, g: Array, g_out: Array, x: Array, positive: Array | None) -> Array:
    return -(g * g_out) if positive is None else -(g * g_out) * (xp.sigmoid(x) + positive * xp.sigmoid(-x))


binary_cross_entropy_with_logits_grad = Primitive(
    "binary_cross_entropy_with_logits_grad",
    lambda xp, g_out, x, target, positive, /: xp.binary_cross_entropy_with_logits_grad(g_out, x, target, positive),
    g_out=lambda xp, g, x, target, positive: xp.binary_cross_entropy_with_logits_grad(g, x, target, positive),
    x=lambda xp, g, g_out, x, target, positive: g * g_out * _mean_of_slopes(xp, x, target, positive),
    target=_target_of_logits_grad,
    positive=lambda xp, g, g_out, x, target: -(g * g_out) * (target * xp.sigmoid(-x)),
)


# -- means and sums of these losses: a kernel can add up while it computes ---------------------------------------------
def _each(g: Array, x: Array, reduction: str) -> Array:
    """The gradient of every loss, from that of their mean or sum."""
    return g / prod(x.shape) if reduction == "mean" else g


reduced_huber = Primitive(
    "reduced_huber",
    lambda xp, d, /, delta, reduction: xp.reduced_huber(d, delta, reduction),
    d=lambda xp, g, d, delta, reduction: xp.huber_grad(_each(g, d, reduction), d, delta),
)
reduced_smooth_l1 = Primitive(
    "reduced_smooth_l1",
    lambda xp, d, /, beta, reduction: xp.reduced_smooth_l1(d, beta, reduction),
    d=lambda xp, g, d, beta, reduction: xp.smooth_l1_grad(_each(g, d, reduction), d, beta),
)
reduced_binary_cross_entropy = Primitive(
    "reduced_binary_cross_entropy",
    lambda xp, x, target, /, reduction: xp.reduced_binary_cross_entropy(x, target, reduction),
    x=lambda xp, g, x, target, reduction: xp.binary_cross_entropy_grad(_each(g, x, reduction), x, target),
    target=lambda xp, g, x, reduction: xp.binary_cross_entropy_grad_target(_each(g, x, reduction), x),
)
reduced_binary_cross_entropy_with_logits = Primitive(
    "reduced_binary_cross_entropy_with_logits",
    lambda xp, x, target, positive, /, reduction: xp.reduced_binary_cross_entropy_with_logits(
        x, target, positive, reduction
    ),
    x=lambda xp, g, x, target, positive, reduction: xp.binary_cross_entropy_with_logits_grad(
        _each(g, x, reduction), x, target, positive
    ),
    target=lambda xp, g, x, positive, reduction: _target_of_logits(xp, _each(g, x, reduction), x, positive),
    positive=lambda xp, g, x, target, reduction: _positive_of_logits(xp, _each(g, x, reduction), x, target),
)


# -- divergence of distributions ---------------------------------------------------------------------------------------
def _log_positive(xp: Namespace, x: Array) -> Array:
    """The logarithm of a positive number; nan for a negative one; 0 for 0, because the caller multiplies by x."""
    positive = x > 0
    return xp.where(x < 0, xp.full_like(x, xp.nan), xp.log(xp.where(positive, x, xp.ones_like(x))))


def _target_of_kl_div(xp: Namespace, g: Array, x: Array, target: Array) -> Array:
    """``log(t) + 1 - x``. At 0 this slope is infinite: there it is ``-x`` instead, or 0 if x is infinite, too."""
    zero = target == 0
    x = xp.where(xp.logical_and(zero, xp.isinf(x)), xp.zeros_like(x), x)
    return g * (_log_positive(xp, target) + xp.where(zero, xp.zeros_like(x), xp.ones_like(x)) - x)


kl_div = elementwise(
    "kl_div",
    lambda xp, x, target, /: _times(xp, target, _log_positive(xp, target) - x),
    x=lambda xp, g, target: -g * target,
    target=_target_of_kl_div,
)
kl_div_of_logs = elementwise(
    "kl_div_of_logs",
    lambda xp, x, target, /: _difference_of_logs(xp, x, target, 0),
    x=lambda xp, g, target: -g * xp.exp(target),
    target=lambda xp, g, x, target: g * _difference_of_logs(xp, x, target, 1),
)


def _difference_of_logs(xp: Namespace, x: Array, target: Array, more: int) -> Array:
    """``exp(t) * (t - x + more)``, and 0 where ``exp(t)`` is 0."""
    p = xp.exp(target)
    zero = p == 0
    target, x = xp.where(zero, xp.zeros_like(target), target), xp.where(zero, xp.zeros_like(x), x)
    return p * ((target + more if more else target) - x)


# -- counts ------------------------------------------------------------------------------------------------------------
def _poisson_of_logs(xp: Namespace, x: Array, target: Array) -> Array:
    """``exp(x) - t * x``, infinite where the exponential is infinite."""
    rate = xp.exp(x)
    return rate - xp.where(rate == xp.inf, xp.zeros_like(x), _times(xp, target, x))


def _rate_rule(xp: Namespace, g: Array, x: Array, target: Array) -> Array:
    """``exp(x) - t``. Near 0 it uses ``expm1``, which keeps the digits for counts of 1."""
    small = xp.abs(x) < 1
    return g * xp.where(small, xp.expm1(xp.where(small, x, xp.zeros_like(x))) + (1 - target), xp.exp(x) - target)


poisson_nll_of_logs = elementwise(
    "poisson_nll_of_logs",
    lambda xp, x, target, /: _poisson_of_logs(xp, x, target),
    x=_rate_rule,
    target=lambda xp, g, x: -g * x,
)


def _poisson(xp: Namespace, x: Array, target: Array, /, eps: float) -> Array:
    """``x - t * log(x + eps)``."""
    moved = x + eps
    zero = xp.logical_and(target == 0, moved == 0)
    log = xp.log(xp.where(zero, xp.ones_like(moved), moved))
    return x - xp.where(x == xp.inf, xp.zeros_like(x), _times(xp, target, log))


def _poisson_rule(xp: Namespace, g: Array, x: Array, target: Array, eps: float) -> Array:
    moved = x + eps
    zero = xp.logical_and(target == 0, moved == 0)
    return g * (1 - target / xp.where(zero, xp.ones_like(moved), moved))


poisson_nll = elementwise("poisson_nll", _poisson, x=_poisson_rule, target=lambda xp, g, x, eps: -g * xp.log(x + eps))


# -- normal distributions ----------------------------------------------------------------------------------------------
def _gaussian(xp: Namespace, d: Array, var: Array) -> Array:
    z = d / xp.sqrt(var)
    return 0.5 * (xp.log(var) + z * z)


def _slope_in_variance(xp: Namespace, g: Array, d: Array, var: Array) -> Array:
    each = d / var
    return g * ((each * each - 0.5 / var) / var)


#: ``(log(v) + d * d / v) / 2``. Divide d before it is multiplied: its square may overflow or underflow.
gaussian_nll = elementwise(
    "gaussian_nll",
    lambda xp, d, var, /: _gaussian(xp, d, var),
    d=lambda xp, g, d, var: g * (d / var),
    var=lambda xp, g, d, var: g * xp.gaussian_nll_slope(d, var),
)
gaussian_nll_slope = Primitive(
    "gaussian_nll_slope",
    lambda xp, d, var, /: xp.gaussian_nll_slope(d, var),
    d=lambda xp, g, d, var: -g * (d / var) / var,
    var=_slope_in_variance,
)

#: The rule is a kernel and no primitive: for second derivatives, its plain version records its steps.
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
