"""Primitives of activations: each function of one number stands beside its derivative. Options come after the slash.

``xp.where`` computes both of its branches. Where one branch would overflow, its argument is replaced first by a number
that does no harm.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING

from ...autograd.fusable import elementwise, fusable
from ...autograd.primitive import Primitive
from ..complex_numbers import conjugate

if TYPE_CHECKING:
    from ...typing import Array, Namespace

__all__ = [
    "elu", "erf", "gaussian", "gelu", "gelu_grad", "gelu_tanh", "gelu_tanh_gate_grad", "gelu_tanh_grad", "glu",
    "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid", "mish", "mish_grad", "prelu", "prelu_slope",
    "relu", "relu_grad", "sigmoid", "sigmoid_grad", "silu", "silu_grad", "softplus", "softshrink", "softsign",
    "tanh_softplus", "tanh_softplus_grad", "tanhshrink", "threshold",
]  # fmt: skip

#: The density of the normal distribution at 0.
_DENSITY = 1 / sqrt(2 * pi)
#: ``exp(-x * x / 2)`` is 0 in float64 for larger numbers x.
_GAUSSIAN_END = 40.0
#: ``exp(-x / 2)`` is 0 in float64 for larger numbers x.
_SIGMOID_END = 2000.0
#: GELU by tanh is ``x * sigmoid(w)`` for ``w = x * (_SLOPE + _CUBIC * x * x)``.
_SLOPE = 2 * sqrt(2 / pi)
_CUBIC = 0.044715 * _SLOPE
#: ``exp(-w)`` is 0 in float64 for larger numbers x.
_CUBIC_END = 22.0
#: ``x / (1 + abs(x))`` is 1 in float64 for larger numbers x.
_SOFTSIGN_END = 1e30


def _where_or_zero(xp: Namespace, condition: Array, g: Array) -> Array:
    """``g`` where a condition holds, else 0."""
    return xp.where(condition, g, xp.zeros_like(g))


def _negative_part(xp: Namespace, x: Array) -> Array:
    """``min(x, 0)``, whose exponential cannot overflow."""
    return xp.where(x > 0, xp.zeros_like(x), x)


# -- ReLU and the sigmoid ----------------------------------------------------------------------------------------------
relu = Primitive("relu", lambda xp, x, /: xp.relu(x), x=lambda xp, g, out: xp.relu_grad(g, out))
relu_grad = Primitive(
    "relu_grad",
    lambda xp, g_out, y, /: xp.relu_grad(g_out, y),
    g_out=lambda xp, g, y: xp.relu_grad(g, y),
    y=lambda xp, g, y: xp.zeros_like(y),
)
sigmoid = Primitive("sigmoid", lambda xp, x, /: xp.sigmoid(x), x=lambda xp, g, x: xp.sigmoid_grad(g, x))
#: The derivative of the sigmoid, ``s * (1 - s)``, times ``g_out``. The derivative of its logarithm is ``1 - 2 * s``.
sigmoid_grad = Primitive(
    "sigmoid_grad",
    lambda xp, g_out, x, /: xp.sigmoid_grad(g_out, x),
    g_out=lambda xp, g, x: conjugate(xp, xp.sigmoid_grad(conjugate(xp, g), x)),
    x=lambda xp, g, g_out, x: -xp.sigmoid_grad(conjugate(xp, g) * g_out * conjugate(xp, xp.tanh(x / 2)), x),
)

# -- the error function and GELU ---------------------------------------------------------------------------------------
gaussian = Primitive(
    "gaussian",
    lambda xp, x, /, rate: xp.gaussian(x, rate),
    x=lambda xp, g, x, out, rate: g * (-2 * rate * (xp.clip(x, -_GAUSSIAN_END, _GAUSSIAN_END) * out)),
)
erf = Primitive(
    "erf",
    lambda xp, x, /: xp.erf(x),
    x=fusable(lambda xp, g, x: g * (2 / sqrt(pi) * xp.gaussian(x, 1.0)), "erf_rule"),
)
gelu = Primitive("gelu", lambda xp, x, /: xp.gelu(x), x=lambda xp, g, x, out: xp.gelu_grad(g, x, out))


def _gelu_second(xp: Namespace, g: Array, g_out: Array, x: Array) -> Array:
    y = xp.clip(x, -_GAUSSIAN_END, _GAUSSIAN_END)
    return g * g_out * ((2 - y * y) * (_DENSITY * xp.gaussian(x, 0.5)))


#: ``out_of_gelu`` is gelu(x), which saves work. It needs no rule: the rule of ``x`` has the whole derivative.
gelu_grad = Primitive(
    "gelu_grad",
    lambda xp, g_out, x, out_of_gelu, /: xp.gelu_grad(g_out, x, out_of_gelu),
    g_out=lambda xp, g, x, out_of_gelu: xp.gelu_grad(g, x, out_of_gelu),
    x=_gelu_second,
)


def _cubic(xp: Namespace, x: Array) -> tuple[Array, Array, Array]:
    """``x`` brought to the range where its function is neither 0 nor x; its cubic w; and the derivative of w."""
    y = xp.clip(x, -_CUBIC_END, _CUBIC_END)
    z = y * y
    return y, y * (_SLOPE + _CUBIC * z), _SLOPE + (3 * _CUBIC) * z


def _gelu_tanh_second(xp: Namespace, g: Array, g_out: Array, x: Array) -> Array:
    y, w, slope = _cubic(xp, x)
    bend = 2 * _SLOPE + (12 * _CUBIC) * (y * y) - y * slope * slope * xp.tanh(w / 2)
    return xp.gelu_tanh_gate_grad(g * g_out * bend, x)


def _gelu_tanh_third(xp: Namespace, g: Array, g_out: Array, x: Array) -> Array:
    _, w, slope = _cubic(xp, x)
    return -xp.gelu_tanh_gate_grad(g * g_out * (slope * xp.tanh(w / 2)), x)


gelu_tanh = Primitive("gelu_tanh", lambda xp, x, /: xp.gelu_tanh(x), x=lambda xp, g, x: xp.gelu_tanh_grad(g, x))
gelu_tanh_grad = Primitive(
    "gelu_tanh_grad",
    lambda xp, g_out, x, /: xp.gelu_tanh_grad(g_out, x),
    g_out=lambda xp, g, x: xp.gelu_tanh_grad(g, x),
    x=_gelu_tanh_second,
)
gelu_tanh_gate_grad = Primitive(
    "gelu_tanh_gate_grad",
    lambda xp, g_out, x, /: xp.gelu_tanh_gate_grad(g_out, x),
    g_out=lambda xp, g, x: xp.gelu_tanh_gate_grad(g, x),
    x=_gelu_tanh_third,
)

# -- made of exponentials ----------------------------------------------------------------------------------------------
#: ``scale * x`` above 0 and ``scale * alpha * (exp(speed * x) - 1)`` below: ELU, CELU and SELU.
elu = elementwise(
    "elu",
    lambda xp, x, /, alpha, scale, speed: xp.where(
        x > 0, scale * x, (scale * alpha) * xp.expm1(speed * _negative_part(xp, x))
    ),
    x=lambda xp, g, x, alpha, scale, speed: (
        g * xp.where(x > 0, xp.full_like(x, scale), (scale * alpha * speed) * xp.exp(speed * _negative_part(xp, x)))
    ),
)


def _silu_second(xp: Namespace, g: Array, g_out: Array, x: Array) -> Array:
    y = xp.clip(x, -_SIGMOID_END, _SIGMOID_END)
    return xp.sigmoid_grad(g * g_out * (2 - y * xp.tanh(y / 2)), x)


def _halves(x: Array, axis: int) -> tuple[Array, Array]:
    lead, middle = (slice(None),) * axis, x.shape[axis] // 2
    return x[(*lead, slice(None, middle), ...)], x[(*lead, slice(middle, None), ...)]


@fusable
def _glu(xp: Namespace, x: Array, gate: Array) -> Array:
    return x * xp.sigmoid(gate)


@fusable
def _glu_rule(xp: Namespace, g: Array, x: Array, gate: Array) -> tuple[Array, Array]:
    return g * xp.sigmoid(gate), xp.sigmoid_grad(g * x, gate)


#: The gated linear unit: the first half along an axis times the sigmoid of the second one.
glu = Primitive(
    "glu",
    lambda xp, x, /, axis: _glu(xp, *_halves(x, axis)),
    x=lambda xp, g, x, axis: xp.concat(list(_glu_rule(xp, g, *_halves(x, axis))), axis=axis),
)
silu = Primitive("silu", lambda xp, x, /: xp.silu(x), x=lambda xp, g, x: xp.silu_grad(g, x))
silu_grad = Primitive(
    "silu_grad",
    lambda xp, g_out, x, /: xp.silu_grad(g_out, x),
    g_out=lambda xp, g, x: xp.silu_grad(g, x),
    x=_silu_second,
)


def _log1p_exp(xp: Namespace, x: Array) -> Array:
    """``log(1 + exp(x))`` without overflow. Only forward functions may use it: its parts have no derivative at 0."""
    return xp.log1p(xp.exp(-xp.abs(x))) + xp.where(x < 0, xp.zeros_like(x), x)


def _softplus(xp: Namespace, x: Array, /, beta: float, threshold: float) -> Array:
    return xp.where(beta * x > threshold, x, _log1p_exp(xp, beta * x) / beta)


softplus = elementwise(
    "softplus",
    _softplus,
    x=lambda xp, g, x, beta, threshold: xp.where(beta * x > threshold, g, g * xp.sigmoid(beta * x)),
)
log_sigmoid = elementwise("log_sigmoid", lambda xp, x, /: -_log1p_exp(xp, -x), x=lambda xp, g, x: g * xp.sigmoid(-x))


def _log_slope(xp: Namespace, x: Array) -> Array:
    """``1 - s - 2 * t * s`` for the sigmoid s of x and ``t = tanh(softplus(x))``.

    This is the derivative of the logarithm of the derivative of t.
    """
    return xp.sigmoid(-x) - 2 * xp.tanh_softplus(x) * xp.sigmoid(x)


def _mish_second(xp: Namespace, g: Array, g_out: Array, x: Array) -> Array:
    return xp.tanh_softplus_grad(g * g_out * (2 + xp.clip(x, -_SIGMOID_END, _SIGMOID_END) * _log_slope(xp, x)), x)


tanh_softplus = Primitive(
    "tanh_softplus", lambda xp, x, /: xp.tanh_softplus(x), x=lambda xp, g, x: xp.tanh_softplus_grad(g, x)
)
tanh_softplus_grad = Primitive(
    "tanh_softplus_grad",
    lambda xp, g_out, x, /: xp.tanh_softplus_grad(g_out, x),
    g_out=lambda xp, g, x: xp.tanh_softplus_grad(g, x),
    x=lambda xp, g, g_out, x: xp.tanh_softplus_grad(g * g_out * _log_slope(xp, x), x),
)
mish = Primitive("mish", lambda xp, x, /: xp.mish(x), x=lambda xp, g, x: xp.mish_grad(g, x))
mish_grad = Primitive(
    "mish_grad",
    lambda xp, g_out, x, /: xp.mish_grad(g_out, x),
    g_out=lambda xp, g, x: xp.mish_grad(g, x),
    x=_mish_second,
)


def _tanhshrink_rule(xp: Namespace, g: Array, x: Array) -> Array:
    t = conjugate(xp, xp.tanh(x))
    return g * t * t


tanhshrink = Primitive("tanhshrink", lambda xp, x, /: xp.tanhshrink(x), x=fusable(_tanhshrink_rule, "tanhshrink_rule"))

# -- made of straight pieces: at a corner the derivative is PyTorch's --------------------------------------------------
leaky_relu = elementwise(
    "leaky_relu",
    lambda xp, x, /, slope: xp.where(x > 0, x, slope * x),
    x=lambda xp, g, x, slope: xp.where(x > 0, g, slope * g),
)
prelu = elementwise(
    "prelu",
    lambda xp, x, weight, /: xp.where(x > 0, x, weight * x),
    x=lambda xp, g, x, weight: g * xp.prelu_slope(x, weight),
    weight=lambda xp, g, x: xp.where(x > 0, xp.zeros_like(g), g * x),
)
#: A primitive of both arguments, so that the graph reaches ``x`` too, with a derivative of 0.
prelu_slope = Primitive(
    "prelu_slope",
    lambda xp, x, weight, /: xp.prelu_slope(x, weight),
    x=lambda xp, g, x: xp.zeros_like(x),
    weight=lambda xp, g, x: xp.where(x > 0, xp.zeros_like(g), g),
)
threshold = elementwise(
    "threshold",
    lambda xp, x, /, limit, value: xp.where(x <= limit, xp.full_like(x, value), x),
    x=lambda xp, g, x, limit: xp.where(x <= limit, xp.zeros_like(g), g),
)
hardtanh = elementwise(
    "hardtanh",
    lambda xp, x, /, low, high: xp.where(x < low, xp.full_like(x, low), xp.where(x > high, xp.full_like(x, high), x)),
    x=lambda xp, g, x, low, high: _where_or_zero(xp, xp.logical_and(x > low, x < high), g),
)
hardsigmoid = elementwise(
    "hardsigmoid",
    lambda xp, x, /: xp.where(x <= -3, xp.zeros_like(x), xp.where(x >= 3, xp.ones_like(x), (x + 3) / 6)),
    x=lambda xp, g, x: _where_or_zero(xp, xp.logical_and(x > -3, x < 3), g / 6),
)


def _hardswish(xp: Namespace, x: Array, /) -> Array:
    y = xp.clip(x, -3.0, 3.0)
    return xp.where(x >= 3, x, y * ((y + 3) / 6))


def _hardswish_rule(xp: Namespace, g: Array, x: Array) -> Array:
    y = xp.clip(x, -3.0, 3.0)
    return xp.where(x <= -3, xp.zeros_like(g), xp.where(x >= 3, g, g * ((y + y + 3) / 6)))


hardswish = elementwise("hardswish", _hardswish, x=_hardswish_rule)
hardshrink = elementwise(
    "hardshrink",
    lambda xp, x, /, limit: xp.where(xp.abs(x) <= limit, xp.zeros_like(x), x),
    x=lambda xp, g, x, limit: xp.where(xp.abs(x) <= limit, xp.zeros_like(g), g),
)
softshrink = elementwise(
    "softshrink",
    lambda xp, x, /, limit: xp.where(
        x > limit, x - limit, xp.where(x < -limit, x + limit, 0 * xp.clip(x, -limit, limit))
    ),
    x=lambda xp, g, x, limit: xp.where(xp.abs(x) <= limit, xp.zeros_like(g), g),
)


def _softsign(xp: Namespace, x: Array, /) -> Array:
    y = xp.clip(x, -_SOFTSIGN_END, _SOFTSIGN_END)
    return y / (1 + xp.abs(y))


def _softsign_rule(xp: Namespace, g: Array, x: Array) -> Array:
    r = 1 / (1 + xp.abs(x))
    return g * r * r


softsign = elementwise("softsign", _softsign, x=_softsign_rule)
