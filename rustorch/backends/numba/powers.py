"""Formulas of pow and hypot, for loops that Numba compiles.

Method: ``x**y`` is ``2**(y * log2(x))``. For float64 the logarithm has twice the digits, as a sum of two numbers
(Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18, 1971); for float32 all is
computed in float64. Polynomials were fitted by Remez's exchange with 50 digits. No code was copied.
"""

from __future__ import annotations

from math import inf, nan

from .exponentials import EXP_DOUBLE, powers_of_two
from .logarithms import exponent_and_rest, normal
from .scalar import DOUBLE, SINGLE, Scalar, absolute, clamp, copysign, fma, polynomial, where

#: 2 / 3, 1 / log(2) and log(2), the first two in two parts.
TWO_THIRDS, LOG2_E = (0.6666666666666666, 3.700743415417188e-17), (1.4426950408889634, 2.0355273740931033e-17)
LN2 = 0.6931471805599453
#: ``(2 * atanh(s) - 2 * s) / s**3``, and that minus 2 / 3 over ``s**2``, of ``s**2``.
LOG_SHORT = (0.23582202489706391, 0.28537307658186317, 0.40000335178671986, 0.6666666564562476)
LOG_LONG = (
    0.12029127300399758,
    0.1027895012987432,
    0.11777267381535221,
    0.13332959937921376,
    0.1538462218475745,
    0.1818181810602925,
    0.2222222222271647,
    0.2857142857142689,
    0.4,
)
#: ``(exp(r) - 1 - r) / r**2`` with the precision of float32.
EXP_SHORT = (
    0.00019914653504411959,
    0.0013941015738833768,
    0.008333271995859027,
    0.041666354582873856,
    0.16666666822763004,
    0.5000000046413131,
)


def _short_log2(x: Scalar) -> Scalar:
    """``log2(x)`` for a normal x > 0, with more digits than float32 has."""
    _, k, f = exponent_and_rest(x)
    s = f / (f + 2.0)
    z = s * s
    return k + (s + s + s * (z * polynomial(z, LOG_SHORT))) * LOG2_E[0]


def _long_log2(x: Scalar, more: Scalar) -> tuple[Scalar, Scalar]:
    """``log2(x) + more`` for a normal x > 0, as a sum of two numbers with about 65 right bits."""
    _, k, f = exponent_and_rest(x)
    # s + s_rest = f / (2 + f)
    below = f + 2.0
    inverse = 1.0 / below
    s = f * inverse
    s_rest = (fma(-s, below, f) - s * (f - (below - 2.0))) * inverse
    z = s * s
    z_rest = fma(s, s, -z) + (s + s) * s_rest
    # factor + factor_rest = 2 / 3 + z * ...
    series = z * polynomial(z, LOG_LONG)
    factor = series + TWO_THIRDS[0]
    factor_rest = (series - (factor - TWO_THIRDS[0])) + TWO_THIRDS[1]
    cube = s * z
    cube_rest = fma(s, z, -cube) + (s * z_rest + s_rest * z)
    term = cube * factor
    term_rest = fma(cube, factor, -term) + (cube * factor_rest + cube_rest * factor)
    twice = s + s
    natural = twice + term
    natural_rest = (term - (natural - twice)) + (s_rest + s_rest + term_rest)
    product = natural * LOG2_E[0]
    product_rest = fma(natural, LOG2_E[0], -product) + (natural * LOG2_E[1] + natural_rest * LOG2_E[0])
    whole = k + more
    out = whole + product
    return out, (product - (out - whole)) + product_rest


def _power_single(x: Scalar, y: Scalar) -> Scalar:
    """``x**y`` for positive float64 that come from float32; the result is about to be rounded to float32."""
    exponent = clamp(y * _short_log2(x), -160.0, 160.0)
    sum_ = exponent + (DOUBLE.magic + DOUBLE.bias)
    r = (exponent - (sum_ - (DOUBLE.magic + DOUBLE.bias))) * LN2
    return (r * r * polynomial(r, EXP_SHORT) + r + 1.0) * (sum_.bits() << DOUBLE.digits).as_float()


def _power_double(x: Scalar, y: Scalar) -> Scalar:
    """``x**y`` for positive numbers."""
    scaled, more = normal(x)
    log2, log2_rest = _long_log2(scaled, more)
    product = y * log2
    exponent = clamp(product, -1100.0, 1100.0)
    rest = fma(y, log2, -product) + y * log2_rest
    rest = where(absolute(product) < 1100.0, rest, 0.0)
    sum_ = exponent + (DOUBLE.magic + 2 * DOUBLE.bias)
    r = ((exponent - (sum_ - (DOUBLE.magic + 2 * DOUBLE.bias))) + rest) * LN2
    first, second = powers_of_two(sum_.bits(), DOUBLE)
    return (r * r * polynomial(r, EXP_DOUBLE) + r + 1.0) * first * second


def pow(x: Scalar, y: Scalar) -> Scalar:
    """``x**y``, with the special values of C99."""
    base, exponent, size = x.double(), y.double(), absolute(x.double())
    out = _power_single(size, exponent) if x.format is SINGLE else _power_double(size, exponent)
    endless, whole = size.equals(inf), exponent.call("rint").equals(exponent)
    half = 0.5 * exponent
    odd = whole & ~half.call("rint").equals(half)
    limit = where((exponent > 0.0).equals(size > 1.0), base.like(inf), 0.0)
    out = where(size.equals(1.0), base.like(1.0), where(size.equals(0.0) | endless, limit, out))
    out = where(odd, copysign(out, base), out)
    out = where((base < 0.0) & ~(whole | endless), base.like(nan), out)
    out = where(base.is_nan() | exponent.is_nan(), base + exponent, out)
    return where(base.equals(1.0) | exponent.equals(0.0), base.like(1.0), out).rounded_like(x)


def hypot(x: Scalar, y: Scalar) -> Scalar:
    """``sqrt(x * x + y * y)``. Float64 is scaled by a power of two, so that squares neither overflow nor vanish."""
    a, b = absolute(x.double()), absolute(y.double())
    infinite = a.equals(inf) | b.equals(inf)
    if x.format is SINGLE:
        root = (a * a + b * b).call("sqrt")
    else:
        larger = where(a > b, a, b)
        small, large = larger < 2.0**-450, larger > 2.0**500
        scale = where(large, a.like(2.0**-600), where(small, a.like(2.0**600), 1.0))
        back = where(large, a.like(2.0**600), where(small, a.like(2.0**-600), 1.0))
        a, b = a * scale, b * scale
        root = (a * a + b * b).call("sqrt") * back
    return where(infinite, a.like(inf), root).rounded_like(x)
