"""Smooth activations and their derivatives, right to a few units in the last place from the smallest number to
infinity.

Every exponential is of a negative number, and what it is multiplied with is bounded first: nothing overflows, and
nothing is infinity times 0. Where the product of a number and a small exponential is asked for, the exponential's
square root is a factor twice: it is no subnormal number yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, pi, sqrt
from typing import Any

DENSITY = 1 / sqrt(2 * pi)  # of the normal distribution, at 0
#: ``exp(-FAR / 2)`` is 0 in float64.
FAR = 2000.0


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """By Horner's rule; the highest power comes first."""
    out = coefficients[0] * x + coefficients[1]
    for a in coefficients[2:]:
        out = out * x + a
    return out


def _complex(xp: Any, x: Any) -> bool:
    return bool(xp.isdtype(x.dtype, "complex floating"))


# -- the error function ------------------------------------------------------------------------------------------------
# Numerators and denominators, highest power first, of erf(x) = x * P(x*x) / Q(x*x) up to BREAK, and of 1 - erf(x) =
# exp(-x*x) * P(x) / Q(x) beyond. Source: Cody, "Rational Chebyshev approximations for the error function", Math. Comp.
# 23, 1969. His third range, from 4 on, serves the relative precision of 1 - erf(x), which is not asked for here.
BREAK = 0.46875
#: erf is 1 in float64 from 5.93 on.
LAST = 6.0
NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
BEYOND = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)


def _ratio(x: Any, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    return _polynomial(x, coefficients[0]) / _polynomial(x, coefficients[1])


def erf(xp: Any, x: Any) -> Any:
    """The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t * t)`` from 0 to x; to 1e-15 in float64."""
    size = xp.abs(x)
    near = size <= BREAK
    zero, one = xp.zeros_like(size), xp.ones_like(size)
    small = xp.where(near, x, zero)
    # a nan is not near and passes through both comparisons
    large = xp.where(near, one, xp.where(size > LAST, one * LAST, size))
    far = 1 - xp.exp(-(large * large)) * _ratio(large, BEYOND)
    return xp.where(near, small * _ratio(small * small, NEAR), xp.where(x < 0, -far, far))


# -- the exact GELU ----------------------------------------------------------------------------------------------------
#: ``exp(-LIMIT * LIMIT / 2)`` is 0 in float64.
LIMIT = 40.0
#: Nearer to 0, the probability is 1/2 to the last bit, and ``out`` may be too small for float32: GPUs and JAX take it
#: for 0 then.
SMALL = 1e-17
#: ``exp(t * t / 2) * P(X <= -t) * (1 + t)`` for a normal X and any t >= 0, by powers of ``(t - 3.75) / (t + 3.75)``:
#: interpolated at Chebyshev's points; as Shepherd & Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x",
#: Math. Comp. 36, 1981.
TAIL = (
    -8.682255916663509e-10,
    1.3641328333891998e-09,
    1.03956196217955e-08,
    -7.546656972971676e-09,
    -6.578576338120192e-08,
    -6.6039418054087855e-09,
    2.991982140847453e-07,
    2.935390251677826e-07,
    -1.1199006862122754e-06,
    -2.365067263250641e-06,
    3.838158091365877e-06,
    1.4691273619829326e-05,
    -1.4885566560146627e-05,
    -8.735960578165379e-05,
    9.803562162682343e-05,
    0.00052118929833073,
    -0.0011401081250541692,
    -0.002208087525003497,
    0.014486042233975049,
    -0.03181294455694057,
    0.033450599638292514,
    0.0078594898627928,
    -0.09741150479881362,
    0.4751862457684028,
)


def gaussian(xp: Any, x: Any, rate: float) -> Any:
    """``exp(-rate * x * x)`` for a rate of 1/2 or 1.

    The square of a large number, rounded, would change the result by many units in the last place: most of it is the
    square of a number of so few digits that it is exact.
    """
    x = xp.clip(x, -LIMIT, LIMIT)
    coarse = xp.round(x * 16) / 16
    return xp.exp(-rate * (coarse * coarse)) * xp.exp(-rate * ((x - coarse) * (x + coarse)))


def gelu(xp: Any, x: Any) -> Any:
    """``x * P(X <= x)`` for a normal X: with ``t = abs(x)`` and ``q = t * P(X <= -t)``, -q below 0 and ``x -
    q`` above.
    """
    t = xp.clip(xp.abs(x), 0.0, LIMIT)
    q = t / (1 + t) * _polynomial((t - 3.75) / (t + 3.75), TAIL) * gaussian(xp, t, 0.5)
    return xp.where(x < 0, -q, x - q)


def gelu_grad(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """``g * (P(X <= x) + x * density(x))``; the probability is ``out / x``, and no polynomial is needed again."""
    small = xp.abs(x) < SMALL
    y = xp.clip(x, -LIMIT, LIMIT)
    chance = xp.where(small, xp.ones_like(x) / 2, xp.clip(out, -LIMIT, LIMIT) / xp.where(small, xp.ones_like(x), y))
    return g * (chance + y * (DENSITY * gaussian(xp, y, 0.5)))


# -- GELU by tanh: x * sigmoid(w) for w = x * (SLOPE + CUBIC * x * x) --------------------------------------------------
SLOPE, CUBIC = 1.5957691216057308, 0.07135481627260025
#: Both, rounded to so few digits that products with small integers are exact, and what is left of them.
FEW_SLOPE, MORE_SLOPE = 104580 / 65536, 4.96144948071176e-06
FEW_CUBIC, MORE_CUBIC = 4676 / 65536, 4.718616350248776e-06
#: ``exp(-w)`` is 0 in float64 here.
LAST_CUBIC = 22.0


def _cubic_decay(xp: Any, x: Any) -> Any:
    """``exp(-abs(w))``. As in `gaussian`, most of the exponent is exact: that of the nearest integer."""
    y = xp.clip(xp.abs(x), 0.0, LAST_CUBIC)
    n = xp.round(y)
    cube, rest = n * n * n, y - n
    left = MORE_SLOPE * n + MORE_CUBIC * cube + rest * (SLOPE + CUBIC * (y * y + y * n + n * n))
    return xp.exp(-(FEW_SLOPE * n + FEW_CUBIC * cube)) * xp.exp(-left)


def gelu_tanh(xp: Any, x: Any) -> Any:
    """``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``."""
    e = _cubic_decay(xp, x)
    return xp.where(x < 0, xp.clip(x, -LAST_CUBIC, 0.0) * e, x) / (1 + e)


def gelu_tanh_grad(xp: Any, g: Any, x: Any) -> Any:
    e, y = _cubic_decay(xp, x), xp.clip(x, -LAST_CUBIC, LAST_CUBIC)
    b, rise = 1 + e, y * (SLOPE + (3 * CUBIC) * (y * y))
    return g * (xp.where(x < 0, e * (b + rise), b + e * rise) / (b * b))


def gelu_tanh_gate_grad(xp: Any, g: Any, x: Any) -> Any:
    """``g * s * (1 - s)`` for s = sigmoid(w)."""
    e = _cubic_decay(xp, x)
    return g * (e / ((1 + e) * (1 + e)))


def relu(xp: Any, x: Any) -> Any:
    return xp.maximum(x, xp.zeros_like(x))


def relu_grad(xp: Any, g: Any, out: Any) -> Any:
    """``g`` where the rectifier's output is positive (or nan), else zero."""
    return xp.where(out <= 0, xp.zeros_like(g), g)


def prelu_slope(xp: Any, x: Any, weight: Any) -> Any:
    """1 above 0, and the weight below."""
    return xp.where(x > 0, xp.ones_like(x), weight)


# -- of exponentials ---------------------------------------------------------------------------------------------------
def _half_decay(xp: Any, x: Any) -> Any:
    """``exp(-abs(x) / 2)``."""
    return xp.exp(-0.5 * xp.abs(x))


def sigmoid(xp: Any, x: Any) -> Any:
    """``1 / (1 + exp(-x))``, from ``exp(-abs(x))`` so that nothing overflows; of complex numbers, from that of the half
    plane below 0.
    """
    if xp.isdtype(x.dtype, "complex floating"):
        above = xp.real(x) >= 0
        e = xp.exp(xp.where(above, -x, x))
    else:
        above = x >= 0
        e = xp.exp(-xp.abs(x))
    return xp.where(above, xp.ones_like(e), e) / (1 + e)


def sigmoid_grad(xp: Any, g: Any, x: Any) -> Any:
    """``g * s * (1 - s)`` for s = sigmoid(x), from ``exp(-abs(x))``: far from 0, s or 1 - s would have lost
    its digits.
    """
    if _complex(xp, x):
        e = xp.exp(xp.where(xp.real(x) > 0, -x, x))
        return g * xp.conj(e / ((1 + e) * (1 + e)))
    h = _half_decay(xp, x)
    b = 1 + h * h
    return g * h * (h / (b * b))


def silu(xp: Any, x: Any) -> Any:
    """``x * sigmoid(x)``; at -inf the limit, 0."""
    h = _half_decay(xp, x)
    return xp.where(x < 0, xp.clip(x, -FAR, 0.0) * h * h, x) / (1 + h * h)


def silu_grad(xp: Any, g: Any, x: Any) -> Any:
    h, y = _half_decay(xp, x), xp.clip(x, -FAR, FAR)
    e = h * h
    b = 1 + e
    return g * (xp.where(x < 0, h * (h * (b + y)), b + y * e) / (b * b))


def _mish_parts(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    """``exp(-abs(x) / 2)``, its square d, and what divides below: ``tanh(softplus(x))`` is ``d * (d + 2) / bottom``
    below 0, and ``(1 + 2 * d) / bottom`` above.
    """
    h = _half_decay(xp, x)
    d = h * h
    return h, d, xp.where(x < 0, d * (d + 2) + 2, 2 * (d * (d + 1)) + 1)


def mish(xp: Any, x: Any) -> Any:
    """``x * tanh(softplus(x))``; at -inf the limit, 0."""
    h, d, bottom = _mish_parts(xp, x)
    return xp.where(x < 0, xp.clip(x, -FAR, 0.0) * h * (h * (d + 2)), x * (1 + 2 * d)) / bottom


def mish_grad(xp: Any, g: Any, x: Any) -> Any:
    h, d, bottom = _mish_parts(xp, x)
    y = xp.clip(x, -FAR, FAR)
    below = h * (h * ((d + 2) * bottom + 4 * (y * (1 + d))))
    above = (1 + 2 * d) * bottom + 4 * (y * d * (d * (1 + d)))
    return g * (xp.where(x < 0, below, above) / (bottom * bottom))


def tanh_softplus(xp: Any, x: Any) -> Any:
    """``tanh(log(1 + exp(x)))``."""
    _, d, bottom = _mish_parts(xp, x)
    return xp.where(x < 0, d * (d + 2), 1 + 2 * d) / bottom


def tanh_softplus_grad(xp: Any, g: Any, x: Any) -> Any:
    h, d, bottom = _mish_parts(xp, x)
    u = xp.where(x < 0, h, d)
    return g * u * (u * (4 * (1 + d)) / (bottom * bottom))


# x - tanh(x) is (x * cosh(x) - sinh(x)) / cosh(x), both by their series, whose terms are all positive.
_TERMS = range(9, -1, -1)
_TOP = tuple(2 * (k + 1) / factorial(2 * k + 3) for k in _TERMS)
_COSH = tuple(1 / factorial(2 * k) for k in _TERMS)


def tanhshrink(xp: Any, x: Any) -> Any:
    """``x - tanh(x)``; near 0 without that subtraction."""
    if _complex(xp, x):
        return x - xp.tanh(x)
    near = xp.abs(x) < 1
    s = xp.where(near, x, xp.zeros_like(x))
    z = s * s
    return xp.where(near, s * (z * (_polynomial(z, _TOP) / _polynomial(z, _COSH))), x - xp.tanh(x))
