"""Derivatives of elementwise functions as primitives, so that second derivatives are as accurate as first ones.

The formulas are the kernels of the same names, in ``backends/kernels/elementwise.py``. Their rules are here. The rules
of `rustorch.ops.elementwise` call these primitives as ``xp.<name>``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.primitive import Primitive
from .complex_numbers import conjugate, is_complex

if TYPE_CHECKING:
    from ..typing import Array, Namespace

__all__ = [
    "atan2_slope", "hypot_slope", "logaddexp_slope", "pow_slope", "sqrt_one_minus_square", "sqrt_one_plus_square",
    "sqrt_square_minus_one", "tanh_slope", "zero_gradient",
]  # fmt: skip


def _sqrt_one_plus_square_rule(xp: Namespace, g: Array, x: Array, out: Array) -> Array:
    """``x / out``, which is 1 or -1 at infinity."""
    return g * (conjugate(xp, x / out) if is_complex(x) else xp.hypot_slope(x, 1.0))


def _sqrt_square_minus_one_rule(xp: Namespace, g: Array, x: Array, out: Array) -> Array:
    """``x / out``, which is 1 at infinity."""
    if is_complex(x):
        return g * xp.conj(x / out)
    infinite = xp.isinf(out)
    one = xp.ones_like(x)
    return g * xp.where(infinite, one, xp.where(infinite, one, x) / xp.where(infinite, one, out))


def _atan2_slope_x2(xp: Namespace, g: Array, x1: Array, x2: Array, out: Array) -> Array:
    """``(x1 - x2) * (x1 + x2) / (x1 ** 2 + x2 ** 2) ** 2``. Each factor is divided by the distance from 0, twice."""
    reciprocal_distance = xp.hypot(out, xp.atan2_slope(x2, x1))
    infinite = reciprocal_distance == 0
    half1, half2 = (xp.where(infinite, xp.zeros_like(out), x + xp.zeros_like(out)) / 2 for x in (x1, x2))
    minus, plus = half1 - half2, half1 + half2
    minus_part = xp.hypot_slope(minus, plus) * reciprocal_distance
    return g * (2 * minus_part * (xp.hypot_slope(plus, minus) * reciprocal_distance))


def _pow_slope_base(xp: Namespace, g: Array, x1: Array, x2: Array, out: Array) -> Array:
    """``x2 * (x2 - 1) * x1 ** (x2 - 2)``: the slope over the base, unless one of them is too small or too large."""
    x2 = x2 if hasattr(x2, "dtype") else xp.full_like(x1, x2)
    small = 1e-30 if xp.finfo(out.dtype).bits == 32 else 1e-290
    usual = xp.logical_and(xp.logical_and(xp.abs(out) > small, xp.isfinite(out)), xp.isfinite(x1))
    is_constant = xp.logical_or(x2 == 0, x2 == 1)
    quotient = xp.where(usual, out, xp.zeros_like(out)) / xp.where(xp.logical_and(usual, x1 != 0), x1, xp.ones_like(x1))
    exponent = xp.where(is_constant, xp.zeros_like(x2), x2 - 1)
    product = xp.pow_slope(xp.where(usual, xp.ones_like(x1), x1), exponent)
    product = xp.where(xp.logical_or(is_constant, product == 0), xp.zeros_like(product), x2) * product
    return g * conjugate(xp, xp.where(usual, exponent * quotient, product))


def _pow_slope_exponent(xp: Namespace, g: Array, x1: Array, x2: Array, out: Array) -> Array:
    """``x1 ** (x2 - 1) * (1 + x2 * log(x1))``, and zero where the power is zero."""
    x1 = x1 if hasattr(x1, "dtype") else xp.full_like(x2, x1)
    infinite = xp.isinf(x2) if not is_complex(x2) else x2 != x2
    direct = xp.logical_or(xp.abs(x2) < 1, infinite)
    one = xp.ones_like(out)
    power = xp.pow(xp.where(direct, x1, one), xp.where(direct, x2, one)) / xp.where(
        xp.logical_and(direct, xp.logical_not(infinite)), x1, one
    )
    power = xp.where(direct, power, out / xp.where(direct, one, x2))
    log = xp.log(xp.where(xp.logical_or(x2 == 0, power == 0), one, x1))
    is_zero = log == 0  # also where x2 is infinite: 0 * inf would be nan
    product = xp.where(is_zero, xp.zeros_like(x2), x2) * xp.where(is_zero, xp.zeros_like(log), log)
    return g * conjugate(xp, power * (1 + product))


def _logaddexp_slope_x1(xp: Namespace, g: Array, x1: Array, x2: Array, out: Array) -> Array:
    return g * (out * xp.logaddexp_slope(x2, x1))


zero_gradient = Primitive(
    "zero_gradient",
    lambda xp, g_out, x, /: xp.zero_gradient(g_out, x),
    g_out=lambda xp, g, x: xp.zero_gradient(g, x),
    x=lambda xp, g, x: xp.zero_gradient(g, x),
)
pow_slope = Primitive(
    "pow_slope", lambda xp, x1, x2, /: xp.pow_slope(x1, x2), x1=_pow_slope_base, x2=_pow_slope_exponent
)
tanh_slope = Primitive(
    "tanh_slope", lambda xp, x, /: xp.tanh_slope(x), x=lambda xp, g, x, out: -2 * (g * conjugate(xp, out * xp.tanh(x)))
)
sqrt_one_minus_square = Primitive(
    "sqrt_one_minus_square",
    lambda xp, x, /: xp.sqrt_one_minus_square(x),
    x=lambda xp, g, x, out: -(g * conjugate(xp, x / out)),
)
sqrt_one_plus_square = Primitive(
    "sqrt_one_plus_square", lambda xp, x, /: xp.sqrt_one_plus_square(x), x=_sqrt_one_plus_square_rule
)
sqrt_square_minus_one = Primitive(
    "sqrt_square_minus_one", lambda xp, x, /: xp.sqrt_square_minus_one(x), x=_sqrt_square_minus_one_rule
)
hypot_slope = Primitive(
    "hypot_slope",
    lambda xp, x1, x2, /: xp.hypot_slope(x1, x2),
    x1=lambda xp, g, x1, x2: g * (xp.hypot_slope(x2, x1) * xp.atan2_slope(x1, x2)),
    x2=lambda xp, g, x1, x2, out: -(g * (out * xp.atan2_slope(x1, x2))),
)
atan2_slope = Primitive(
    "atan2_slope",
    lambda xp, x1, x2, /: xp.atan2_slope(x1, x2),
    x1=lambda xp, g, x1, x2, out: -2 * (g * (out * xp.atan2_slope(x2, x1))),
    x2=_atan2_slope_x2,
)
logaddexp_slope = Primitive(
    "logaddexp_slope",
    lambda xp, x1, x2, /: xp.logaddexp_slope(x1, x2),
    x1=_logaddexp_slope_x1,
    x2=lambda xp, g, x1, x2, out: -_logaddexp_slope_x1(xp, g, x1, x2, out),
)
