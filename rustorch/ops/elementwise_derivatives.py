"""Derivatives of elementwise functions that are primitives of their own, so that second derivatives are as accurate as
first ones.

Their formulas are the kernels of the same names, in ``backends/kernels/elementwise.py``; their rules stand here. A rule
of `elementwise` calls one of them as ``xp.<name>``.
"""

from __future__ import annotations

from typing import Any

from ..autograd.primitive import Primitive
from .complex_numbers import conjugate, is_complex

__all__ = [
    "hypot_slope",
    "zero_gradient",
    "pow_slope",
    "sqrt_one_plus_square",
    "sqrt_one_minus_square",
    "sqrt_square_minus_one",
    "logaddexp_slope",
    "tanh_slope",
    "atan2_slope",
]


def _root_above_rule(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """``x / out``, which is 1 or -1 at infinity."""
    return g * (conjugate(xp, x / out) if is_complex(x) else xp.hypot_slope(x, 1.0))


def _root_beyond_rule(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """``x / out``, which is 1 at infinity."""
    if is_complex(x):
        return g * xp.conj(x / out)
    infinite = xp.isinf(out)
    return g * xp.where(
        infinite, xp.ones_like(x), xp.where(infinite, xp.ones_like(x), x) / xp.where(infinite, xp.ones_like(x), out)
    )


def _turn_x2(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
    """``(x1 - x2) * (x1 + x2) / (x1 ** 2 + x2 ** 2) ** 2``: each factor over the distance, and over it again."""
    nearness = xp.hypot(out, xp.atan2_slope(x2, x1))
    far = nearness == 0
    one, two = (xp.where(far, xp.zeros_like(out), x + xp.zeros_like(out)) / 2 for x in (x1, x2))
    minus, plus = one - two, one + two
    return g * (2 * (xp.hypot_slope(minus, plus) * nearness) * (xp.hypot_slope(plus, minus) * nearness))


def _pow_slope_base(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
    """``x2 * (x2 - 1) * x1 ** (x2 - 2)``: the slope over the base, where neither is too small or too large."""
    x2 = x2 if hasattr(x2, "dtype") else xp.full_like(x1, x2)
    small = 1e-30 if xp.finfo(out.dtype).bits == 32 else 1e-290
    usual = xp.logical_and(xp.logical_and(xp.abs(out) > small, xp.isfinite(out)), xp.isfinite(x1))
    none = xp.logical_or(x2 == 0, x2 == 1)
    over = xp.where(usual, out, xp.zeros_like(out)) / xp.where(xp.logical_and(usual, x1 != 0), x1, xp.ones_like(x1))
    less = xp.where(none, xp.zeros_like(x2), x2 - 1)
    other = xp.pow_slope(xp.where(usual, xp.ones_like(x1), x1), less)
    other = xp.where(xp.logical_or(none, other == 0), xp.zeros_like(other), x2) * other
    return g * conjugate(xp, xp.where(usual, less * over, other))


def _pow_slope_exponent(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
    """``x1 ** (x2 - 1) * (1 + x2 * log(x1))``, and zero where the power is."""
    x1 = x1 if hasattr(x1, "dtype") else xp.full_like(x2, x1)
    infinite = xp.isinf(x2) if not is_complex(x2) else x2 != x2
    direct = xp.logical_or(xp.abs(x2) < 1, infinite)
    one = xp.ones_like(out)
    power = xp.pow(xp.where(direct, x1, one), xp.where(direct, x2, one)) / xp.where(
        xp.logical_and(direct, xp.logical_not(infinite)), x1, one
    )
    power = xp.where(direct, power, out / xp.where(direct, one, x2))
    log = xp.log(xp.where(xp.logical_or(x2 == 0, power == 0), one, x1))
    flat = log == 0
    return g * conjugate(
        xp, power * (1 + xp.where(flat, xp.zeros_like(x2), x2) * xp.where(flat, xp.zeros_like(log), log))
    )


def _share_slope(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
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
    "sqrt_one_plus_square", lambda xp, x, /: xp.sqrt_one_plus_square(x), x=_root_above_rule
)
sqrt_square_minus_one = Primitive(
    "sqrt_square_minus_one", lambda xp, x, /: xp.sqrt_square_minus_one(x), x=_root_beyond_rule
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
    x2=_turn_x2,
)
logaddexp_slope = Primitive(
    "logaddexp_slope",
    lambda xp, x1, x2, /: xp.logaddexp_slope(x1, x2),
    x1=_share_slope,
    x2=lambda xp, g, x1, x2, out: -_share_slope(xp, g, x1, x2, out),
)
