"""Derivatives of elementwise functions that are primitives of their own, so that second derivatives are as accurate as first ones.

Their formulas are the kernels of the same names, in ``backends/kernels/elementwise.py``; their rules stand here. A rule of `elementwise`
calls one of them as ``xp.<name>``.
"""

from __future__ import annotations

from typing import Any

from ..autograd.primitive import Primitive
from .helpers import conjugate, is_complex

__all__ = ["direction", "no_slope", "root_above", "root_below", "root_beyond", "share", "tanh_slope", "turn"]


def _root_above_rule(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """``x / out``, which is 1 or -1 at infinity."""
    return g * (conjugate(xp, x / out) if is_complex(x) else xp.direction(x, 1.0))


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
    nearness = xp.hypot(out, xp.turn(x2, x1))
    far = nearness == 0
    one, two = (xp.where(far, xp.zeros_like(out), x + xp.zeros_like(out)) / 2 for x in (x1, x2))
    minus, plus = one - two, one + two
    return g * (2 * (xp.direction(minus, plus) * nearness) * (xp.direction(plus, minus) * nearness))


def _share_slope(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
    return g * (out * xp.share(x2, x1))


no_slope = Primitive(
    "no_slope",
    lambda xp, g_out, x, /: xp.no_slope(g_out, x),
    g_out=lambda xp, g, x: xp.no_slope(g, x),
    x=lambda xp, g, x: xp.no_slope(g, x),
)
tanh_slope = Primitive(
    "tanh_slope", lambda xp, x, /: xp.tanh_slope(x), x=lambda xp, g, x, out: -2 * (g * conjugate(xp, out * xp.tanh(x)))
)
root_below = Primitive("root_below", lambda xp, x, /: xp.root_below(x), x=lambda xp, g, x, out: -(g * conjugate(xp, x / out)))
root_above = Primitive("root_above", lambda xp, x, /: xp.root_above(x), x=_root_above_rule)
root_beyond = Primitive("root_beyond", lambda xp, x, /: xp.root_beyond(x), x=_root_beyond_rule)
direction = Primitive(
    "direction",
    lambda xp, x1, x2, /: xp.direction(x1, x2),
    x1=lambda xp, g, x1, x2: g * (xp.direction(x2, x1) * xp.turn(x1, x2)),
    x2=lambda xp, g, x1, x2, out: -(g * (out * xp.turn(x1, x2))),
)
turn = Primitive(
    "turn",
    lambda xp, x1, x2, /: xp.turn(x1, x2),
    x1=lambda xp, g, x1, x2, out: -2 * (g * (out * xp.turn(x2, x1))),
    x2=_turn_x2,
)
share = Primitive(
    "share",
    lambda xp, x1, x2, /: xp.share(x1, x2),
    x1=_share_slope,
    x2=lambda xp, g, x1, x2, out: -_share_slope(xp, g, x1, x2, out),
)
