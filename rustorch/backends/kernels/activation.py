"""The error function, which neither the standard nor NumPy has, and the exact GELU that is made of it."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

__all__ = ["erf", "gelu", "gelu_grad"]

ROOT_HALF = sqrt(0.5)
DENSITY = 1 / sqrt(2 * pi)  # of the normal distribution, at 0
#: Nearer to 0, the probability is 1/2 to the last bit, and ``out`` may be too small for float32: GPUs and JAX take it for 0 then.
SMALL = 1e-30

# Numerators and denominators, highest power first, of erf(x) = x * P(x*x) / Q(x*x) up to BREAK, and of
# 1 - erf(x) = exp(-x*x) * P(x) / Q(x) beyond. Source: Cody, "Rational Chebyshev approximations for the error function",
# Math. Comp. 23, 1969. His third range, from 4 on, serves the relative precision of 1 - erf(x), which is not asked for here.
BREAK = 0.46875
#: erf is 1 in float64 from 5.93 on.
LAST = 6.0
NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
FAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3,
     4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip


def _ratio(x: Any, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    """Both polynomials by Horner's rule."""
    top, bottom = (row[0] * x + row[1] for row in coefficients)
    for a, b in zip(coefficients[0][2:], coefficients[1][2:], strict=True):
        top, bottom = top * x + a, bottom * x + b
    return top / bottom


def erf(xp: Any, x: Any) -> Any:
    """The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t * t)`` from 0 to x; to 1e-15 in float64."""
    size = xp.abs(x)
    near = size <= BREAK
    zero, one = xp.zeros_like(size), xp.ones_like(size)
    small = xp.where(near, x, zero)
    # a nan is not near and passes through both comparisons
    large = xp.where(near, one, xp.where(size > LAST, one * LAST, size))
    far = 1 - xp.exp(-(large * large)) * _ratio(large, FAR)
    return xp.where(near, small * _ratio(small * small, NEAR), xp.where(x < 0, -far, far))


def gelu(xp: Any, x: Any) -> Any:
    """``x * P(X <= x)`` for a normal X."""
    return x * (0.5 + 0.5 * xp.erf(x * ROOT_HALF))


def gelu_grad(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """``g * (P(X <= x) + x * density(x))``; the probability is ``out / x``, and no error function is needed again."""
    small = xp.abs(x) < SMALL
    chance = xp.where(small, xp.ones_like(x) / 2, out / xp.where(small, xp.ones_like(x), x))
    return g * (chance + x * (DENSITY * xp.exp(-0.5 * (x * x))))
