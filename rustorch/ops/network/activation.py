"""Activations: each function of one number with its derivative beside it; options come after the slash.

``xp.where`` computes both of its branches: where one of them would overflow, its argument is made harmless first.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from ...autograd.primitive import Primitive
from ...backends.kernels.activation import DENSITY

__all__ = [
    "elu", "erf", "gelu", "gelu_grad", "gelu_tanh", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid",
    "mish", "prelu", "silu", "softplus", "softshrink", "softsign", "tanhshrink", "threshold",
]  # fmt: skip


def _chosen(xp: Any, where: Any, g: Any) -> Any:
    """``g`` where a condition holds, else 0."""
    return xp.where(where, g, xp.zeros_like(g))


def _negative_part(xp: Any, x: Any) -> Any:
    """``min(x, 0)``, whose exponential cannot overflow."""
    return xp.where(x > 0, xp.zeros_like(x), x)


# -- the error function and GELU -------------------------------------------------------------------------------------------------
erf = Primitive("erf", lambda xp, x, /: xp.erf(x), x=lambda xp, g, x: g * (2 / sqrt(pi) * xp.exp(-(x * x))))
gelu = Primitive("gelu", lambda xp, x, /: xp.gelu(x), x=lambda xp, g, x, out: xp.gelu_grad(g, x, out))
#: ``out`` is a by-product, gelu(x): its share in the derivative is in that of ``x``.
gelu_grad = Primitive(
    "gelu_grad",
    lambda xp, g_out, x, out_of_gelu, /: xp.gelu_grad(g_out, x, out_of_gelu),
    g_out=lambda xp, g, x, out_of_gelu: xp.gelu_grad(g, x, out_of_gelu),
    x=lambda xp, g, g_out, x: g * g_out * ((2 - x * x) * (DENSITY * xp.exp(-0.5 * (x * x)))),
)
_SLOPE, _CUBIC = sqrt(2 / pi), 0.044715


def _inner(x: Any) -> Any:
    return _SLOPE * (x + _CUBIC * (x * x * x))


def _gelu_tanh_rule(xp: Any, g: Any, x: Any) -> Any:
    t = xp.tanh(_inner(x))
    return g * (0.5 * (1 + t) + (0.5 * x) * (1 - t * t) * (_SLOPE + (3 * _SLOPE * _CUBIC) * (x * x)))


gelu_tanh = Primitive("gelu_tanh", lambda xp, x, /: 0.5 * x * (1 + xp.tanh(_inner(x))), x=_gelu_tanh_rule)

# -- of exponentials -------------------------------------------------------------------------------------------------------------
#: ``scale * x`` above 0 and ``scale * alpha * (exp(speed * x) - 1)`` below: ELU, CELU and SELU.
elu = Primitive(
    "elu",
    lambda xp, x, /, alpha, scale, speed: xp.where(x > 0, scale * x, (scale * alpha) * xp.expm1(speed * _negative_part(xp, x))),
    x=lambda xp, g, x, alpha, scale, speed: (
        g * xp.where(x > 0, xp.full_like(x, scale), (scale * alpha * speed) * xp.exp(speed * _negative_part(xp, x)))
    ),
)


def _silu_rule(xp: Any, g: Any, x: Any) -> Any:
    s = xp.sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


silu = Primitive("silu", lambda xp, x, /: x * xp.sigmoid(x), x=_silu_rule)


def _log1p_exp(xp: Any, x: Any) -> Any:
    """``log(1 + exp(x))`` without overflow; for forward functions, since its parts have no derivative at 0."""
    return xp.log1p(xp.exp(-xp.abs(x))) + xp.where(x < 0, xp.zeros_like(x), x)


def _softplus(xp: Any, x: Any, /, beta: float, threshold: float) -> Any:
    return xp.where(beta * x > threshold, x, _log1p_exp(xp, beta * x) / beta)


softplus = Primitive(
    "softplus",
    _softplus,
    x=lambda xp, g, x, beta, threshold: xp.where(beta * x > threshold, g, g * xp.sigmoid(beta * x)),
)
log_sigmoid = Primitive("log_sigmoid", lambda xp, x, /: -_log1p_exp(xp, -x), x=lambda xp, g, x: g * xp.sigmoid(-x))


def _tanh_softplus(xp: Any, x: Any) -> Any:
    """``tanh(log(1 + exp(x)))``, which is ``n / (n + 2)`` for ``n = exp(x) * (exp(x) + 2)``; 1 in float64 from 20 on."""
    e = xp.exp(xp.where(x > 20, xp.full_like(x, 20.0), x))
    n = e * (e + 2)
    return n / (n + 2)


def _mish_rule(xp: Any, g: Any, x: Any) -> Any:
    t = _tanh_softplus(xp, x)
    return g * (t + x * (1 - t * t) * xp.sigmoid(x))


mish = Primitive("mish", lambda xp, x, /: x * _tanh_softplus(xp, x), x=_mish_rule)
tanhshrink = Primitive("tanhshrink", lambda xp, x, /: x - xp.tanh(x), x=lambda xp, g, x, out: g * ((x - out) * (x - out)))

# -- of straight pieces: at a corner the derivative is PyTorch's ---------------------------------------------------------------------
leaky_relu = Primitive(
    "leaky_relu",
    lambda xp, x, /, slope: xp.where(x > 0, x, slope * x),
    x=lambda xp, g, x, slope: xp.where(x > 0, g, slope * g),
)
prelu = Primitive(
    "prelu",
    lambda xp, x, weight, /: xp.where(x > 0, x, weight * x),
    x=lambda xp, g, x, weight: xp.where(x > 0, g, weight * g),
    weight=lambda xp, g, x: xp.where(x > 0, xp.zeros_like(g), g * x),
)
threshold = Primitive(
    "threshold",
    lambda xp, x, /, limit, value: xp.where(x <= limit, xp.full_like(x, value), x),
    x=lambda xp, g, x, limit: xp.where(x <= limit, xp.zeros_like(g), g),
)
hardtanh = Primitive(
    "hardtanh",
    lambda xp, x, /, low, high: xp.where(x < low, xp.full_like(x, low), xp.where(x > high, xp.full_like(x, high), x)),
    x=lambda xp, g, x, low, high: _chosen(xp, xp.logical_and(x > low, x < high), g),
)
hardsigmoid = Primitive(
    "hardsigmoid",
    lambda xp, x, /: xp.where(x <= -3, xp.zeros_like(x), xp.where(x >= 3, xp.ones_like(x), x / 6 + 0.5)),
    x=lambda xp, g, x: _chosen(xp, xp.logical_and(x > -3, x < 3), g / 6),
)
hardswish = Primitive(
    "hardswish",
    lambda xp, x, /: xp.where(x <= -3, xp.zeros_like(x), xp.where(x >= 3, x, x * (x / 6 + 0.5))),
    x=lambda xp, g, x: xp.where(x <= -3, xp.zeros_like(g), xp.where(x >= 3, g, g * (x / 3 + 0.5))),
)
hardshrink = Primitive(
    "hardshrink",
    lambda xp, x, /, limit: xp.where(xp.abs(x) <= limit, xp.zeros_like(x), x),
    x=lambda xp, g, x, limit: xp.where(xp.abs(x) <= limit, xp.zeros_like(g), g),
)
softshrink = Primitive(
    "softshrink",
    lambda xp, x, /, limit: xp.where(x > limit, x - limit, xp.where(x < -limit, x + limit, 0 * x)),
    x=lambda xp, g, x, limit: xp.where(xp.abs(x) <= limit, xp.zeros_like(g), g),
)


def _softsign_rule(xp: Any, g: Any, x: Any) -> Any:
    bottom = 1 + xp.abs(x)
    return g / (bottom * bottom)


softsign = Primitive("softsign", lambda xp, x, /: x / (1 + xp.abs(x)), x=_softsign_rule)
