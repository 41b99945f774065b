"""Formulas of log, log1p, log2, log10, asinh, acosh and atanh, for loops that Numba compiles.

Method: the argument is ``2**k * (1 + f)`` with ``1 + f`` between the square roots of 1/2 and 2. For float32, a
polynomial of f gives ``log(1 + f)``; for float64, one of ``s = f / (2 + f)``, as in Tang, "Table-driven implementation
of the logarithm function", ACM TOMS 16, 1990, without a table. Sums keep what their rounding loses (Dekker, "A
floating-point technique for extending the available precision", Numer. Math. 18, 1971). The inverse hyperbolic
functions are log1p of a sum, as in Kahan, "Branch cuts for complex elementary functions", 1987. All polynomials were
fitted by Remez's exchange with 50 digits, for the relative error. No code was copied.
"""

from __future__ import annotations

from math import inf, nan, sqrt

from .scalar import SINGLE, Scalar, absolute, copysign, fma, polynomial, where

#: ``(log(1 + f) - f + f**2 / 2) / f**3``.
LOG_SINGLE = (
    -0.07642992585897446,
    0.1276717185974121,
    -0.131596639752388,
    0.1420094519853592,
    -0.16623325645923615,
    0.20001260936260223,
    -0.250008225440979,
    0.3333333134651184,
)
#: ``(2 * atanh(s) - 2 * s) / s**3`` of ``s**2``.
LOG_DOUBLE = (
    0.14795738421110585,
    0.15314075438715266,
    0.18183563172804748,
    0.22222198599843263,
    0.28571428742067817,
    0.3999999999941653,
    0.6666666666666734,
)
#: Constants in two parts. The first parts of those that are multiplied by k have few digits.
LN2_SINGLE, LN2_DOUBLE = (0.693359375, -0.00021219444170128554), (0.6931471803691238, 1.9082149292705877e-10)
LOG10_2_SINGLE, LOG10_2_DOUBLE = (0.30078125, 0.00024874566588550806), (0.301029995663157, 8.241712586023572e-13)
LOG2_E_SINGLE, LOG2_E_DOUBLE = (
    (1.4426950216293335, 1.925963033500011e-08),
    (1.4426950408889634, 2.0355273740931033e-17),
)
LOG10_E_SINGLE = (0.4342944920063019, -1.0103049952192578e-08)
LOG10_E_DOUBLE = (0.4342944819032518, 1.098319650216765e-17)


def exponent_and_rest(x: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """k plus the bias as an integer, k as a float, and f, for a positive normal number."""
    format_ = x.format
    lower = format_.stored(sqrt(0.5))
    # The bias keeps the integer positive.
    shifted = x.bits() + ((format_.bias << format_.digits) - lower)
    stored = shifted >> format_.digits
    mantissa = (shifted & ((1 << format_.digits) - 1)) + lower
    offset = 2.0**format_.digits
    k = (stored | format_.stored(offset)).as_float() - (offset + format_.bias)
    return stored, k, mantissa.as_float() - 1.0


def normal(x: Scalar) -> tuple[Scalar, Scalar]:
    """x, multiplied by a power of two where it is subnormal, and the exponent of that power, or 0."""
    subnormal = x < x.format.smallest
    digits = x.format.digits + 2
    return where(subnormal, x * 2.0**digits, x), where(subnormal, x.like(-float(digits)), 0.0)


def beyond_f(f: Scalar) -> Scalar:
    """``log(1 + f) - f``."""
    if f.format is SINGLE:
        return f * f * (f * polynomial(f, LOG_SINGLE) - 0.5)
    s = f / (f + 2.0)
    z, half = s * s, f * f * 0.5
    return s * (half + z * polynomial(z, LOG_DOUBLE)) - half


def _at_ends(result: Scalar, x: Scalar, zero: float = 0.0) -> Scalar:
    """The result where x is above ``zero`` and finite; the limits elsewhere, and nan below."""
    special = where(x.equals(zero), x.like(-inf), where(x < zero, x.like(nan), x))
    return where(x > zero, where(x < inf, result, special), special)


def log(x: Scalar) -> Scalar:
    """The natural logarithm."""
    y, scale = normal(x)
    _, k, f = exponent_and_rest(y)
    k = k + scale
    high, low = x.pick(LN2_SINGLE, LN2_DOUBLE)
    return _at_ends(k * high + (f + (beyond_f(f) + k * low)), x)


def _other_base(x: Scalar, of_two: tuple[float, float], of_e: tuple[float, float]) -> Scalar:
    """A logarithm, from those of 2 and of e, each in two parts."""
    y, scale = normal(x)
    _, k, f = exponent_and_rest(y)
    k = k + scale
    rest = beyond_f(f)
    natural = f + rest
    lost = rest - (natural - f)
    product = natural * of_e[0]
    lost = fma(natural, of_e[0], -product) + (natural * of_e[1] + lost * of_e[0])
    whole = k * of_two[0]
    out = whole + product
    return _at_ends(out + ((product - (out - whole)) + (lost + k * of_two[1])), x)


def log2(x: Scalar) -> Scalar:
    """The logarithm to base 2."""
    return _other_base(x, (1.0, 0.0), x.pick(LOG2_E_SINGLE, LOG2_E_DOUBLE))


def log10(x: Scalar) -> Scalar:
    """The logarithm to base 10."""
    return _other_base(x, x.pick(LOG10_2_SINGLE, LOG10_2_DOUBLE), x.pick(LOG10_E_SINGLE, LOG10_E_DOUBLE))


def _log_of_one_and(x: Scalar, rest: Scalar | None = None, more: Scalar | None = None) -> Scalar:
    """``log(1 + x + rest) + more * log(2)`` for a small rest and x above -1.

    Where k is 0, x is f itself, and nothing is lost. Elsewhere ``1 + x`` is rounded, and what is lost is added again,
    divided by ``1 + f``: two terms of the series are enough for that.
    """
    u = x + 1.0
    of_x = u - 1.0
    lost = (1.0 - (u - of_x)) + (x - of_x)
    stored, k, f = exponent_and_rest(u)
    bias = x.format.bias
    scale = ((2 * bias - stored) << x.format.digits).as_float()
    near = stored.equals(bias)
    f = where(near, x, f)
    # Nothing is lost that counts where x is so large that 1 is lost, and the scale may be infinite there.
    missing = where(near | (x > 2.0**60), x.like(0.0), lost * scale)
    if rest is not None:
        missing = missing + where(x > 2.0**60, x.like(0.0), rest * scale)
    missing = missing * (1.0 - f * (1.0 - f * 0.75))
    if more is not None:
        k = k + more
    high, low = x.pick(LN2_SINGLE, LN2_DOUBLE)
    return k * high + (f + (beyond_f(f) + (missing + k * low)))


def log1p(x: Scalar) -> Scalar:
    """``log(1 + x)``."""
    return copysign(_at_ends(_log_of_one_and(x), x, -1.0), x)


def _many(x: Scalar) -> float:
    """A number from which on ``x + 1`` and ``sqrt(x * x + 1)`` are x to rounding."""
    return float(2.0 ** (x.format.digits + 2))


def asinh(x: Scalar) -> Scalar:
    """The inverse hyperbolic sine, ``log1p(x + x**2 / (1 + sqrt(1 + x**2)))`` for the size of x."""
    size = absolute(x)
    large = size > _many(x)
    square = size * size
    second = square / (1.0 + (square + 1.0).call("sqrt"))
    sum_ = size + second
    rest = second - (sum_ - size)
    zero = x.like(0.0)
    out = _log_of_one_and(where(large, size, sum_), where(large, zero, rest), where(large, x.like(1.0), zero))
    return copysign(where(size < inf, out, size), x)


def acosh(x: Scalar) -> Scalar:
    """The inverse hyperbolic cosine, ``log1p(t + sqrt(t * t + 2 * t))`` with ``t = x - 1``."""
    large = x > _many(x)
    t = x - 1.0
    root = (t * t + (t + t)).call("sqrt")
    sum_ = root + t
    rest = t - (sum_ - root)
    zero = x.like(0.0)
    out = _log_of_one_and(where(large, x, sum_), where(large, zero, rest), where(large, x.like(1.0), zero))
    return where(x < 1.0, x.like(nan), where(x < inf, out, x))


def atanh(x: Scalar) -> Scalar:
    """The inverse hyperbolic tangent, ``log1p(2 * x / (1 - x)) / 2`` for the size of x."""
    size = absolute(x)
    twice, below = size + size, 1.0 - size
    inverse = 1.0 / below
    ratio = twice * inverse
    rest = (fma(-ratio, below, twice) - ratio * ((1.0 - below) - size)) * inverse
    return copysign(0.5 * _at_ends(_log_of_one_and(ratio, rest), ratio, -1.0), x)
