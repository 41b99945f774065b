"""Formulas of exp, expm1, sinh, cosh, tanh and erf, for loops that Numba compiles.

Method: Cody & Waite, "Software manual for the elementary functions", 1980. The argument is ``n * log(2) + r``, a
polynomial gives ``exp(r)``, and the exponent is put into the bits. All polynomials were fitted by Remez's exchange with
50 digits, for the relative error, and rounded from the lowest power on. No code was copied.
"""

from __future__ import annotations

from .scalar import Format, Scalar, absolute, at_most, clamp, copysign, polynomial, where

#: ``(exp(r) - 1 - r) / r**2`` for abs(r) <= log(2) / 2.
EXP_SINGLE = (0.001394063699990511, 0.008366397581994534, 0.04166640341281891, 0.1666654497385025, 0.5)
EXP_DOUBLE = (
    2.511432390366894e-08,
    2.7626322347867807e-07,
    2.7557228495172296e-06,
    2.4801504456990806e-05,
    0.00019841269902315582,
    0.00138888889323696,
    0.008333333333314997,
    0.04166666666657365,
    0.16666666666666685,
    0.5000000000000006,
)
#: ``(sinh(x) - x) / x**3`` of ``x**2``, up to 1.
SINH_SINGLE = (2.7822131869470468e-06, 0.00019842895562760532, 0.00833331048488617, 0.1666666716337204)
SINH_DOUBLE = (
    7.777140658766206e-13,
    1.6056643566742253e-10,
    2.5052131169150442e-08,
    2.7557319105886016e-06,
    0.00019841269841595457,
    0.00833333333333291,
    0.16666666666666669,
)
#: ``(tanh(x) - x) / x**3`` of ``x**2``, up to TANH_BREAK.
TANH_BREAK = 0.625
TANH_SINGLE = (
    -0.005692194681614637,
    0.02062811143696308,
    -0.05373650789260864,
    0.13331405818462372,
    -0.3333328068256378,
)
TANH_DOUBLE = (
    -1.607158185025505e-05,
    7.714211916277672e-05,
    -0.0002285619969138574,
    0.0005863153038696171,
    -0.0014549584478912615,
    0.0035919890774309873,
    -0.00886322098873687,
    0.021869487574849307,
    -0.053968253931203594,
    0.13333333333261932,
    -0.33333333333332854,
)
#: ``erf(x) / x - 1`` of ``x**2``, up to 1.
ERF_SINGLE = (
    7.806834037182853e-05,
    -0.000799784145783633,
    0.005187161732465029,
    -0.026853347197175026,
    0.11283578723669052,
    -0.3761262595653534,
    0.12837916612625122,
)
ERF_DOUBLE = (
    -7.607273405399262e-10,
    1.3616442336388547e-08,
    -1.6183939236525587e-07,
    1.644414476831107e-06,
    -1.492446524830281e-05,
    0.00012055280480221225,
    -0.0008548325484582179,
    0.00522397759672977,
    -0.026866170641958686,
    0.11283791670936949,
    -0.37612638903183343,
    0.12837916709551256,
)
#: ``-log(1 - erf(1 + t))``; erf is 1 beyond the last t.
ERF_FAR_SINGLE = (
    0.0011569830821827054,
    -0.009046333841979504,
    0.041047148406505585,
    0.8432180881500244,
    2.6389598846435547,
    1.8496055603027344,
)
ERF_FAR_DOUBLE = (
    -1.1946415851602077e-12,
    3.250642076574411e-11,
    -4.0782580067388123e-10,
    3.1180809142987263e-09,
    -1.6001388246491402e-08,
    5.534365722300244e-08,
    -1.0485840592756009e-07,
    -1.3088681469297823e-07,
    2.0450926753013298e-06,
    -9.595485855113278e-06,
    2.715003121884899e-05,
    -2.627338781417741e-05,
    -0.00023732406240738657,
    0.0019779029512939257,
    -0.010033825435107177,
    0.0415610980475869,
    0.8431072563583891,
    2.638967514234794,
    1.8496055099332482,
)
LOG2_E = 1.4426950408889634
#: log(2) in two parts. Products of the first with an exponent are exact.
LN2_SINGLE = (0.693359375, -0.00021219444170128554)
LN2_DOUBLE = (0.6931471803691238, 1.9082149292705877e-10)


def reduce(x: Scalar) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """x as ``n * log(2) + r + c``: n, an integer with n in its last bits, r, and what rounding took from r."""
    high, low = x.pick(LN2_SINGLE, LN2_DOUBLE)
    sum_ = x * LOG2_E + (x.format.magic + 2 * x.format.bias)
    n = sum_ - (x.format.magic + 2 * x.format.bias)
    coarse = x - n * high
    r = coarse - n * low
    return n, sum_.bits(), r, (coarse - r) - n * low


def powers_of_two(integer: Scalar, format_: Format) -> tuple[Scalar, Scalar]:
    """Two factors whose product is ``2**n``, which may be too large or too small for one, from ``n + 2 * bias``.

    The bits before the sign and the exponent are shifted out.
    """
    half = integer >> 1
    return (half << format_.digits).as_float(), ((integer - half) << format_.digits).as_float()


def tail(r: Scalar) -> Scalar:
    """``exp(r) - 1 - r`` for abs(r) <= log(2) / 2."""
    return r * r * polynomial(r, r.pick(EXP_SINGLE, EXP_DOUBLE))


def exp(x: Scalar) -> Scalar:
    """``e**x``. Results that round to 0 are set to 0 and not computed: on Intel's processors, a product below the
    smallest normal number takes more than a hundred cycles. Attention has many, because it hides scores by -inf.
    """
    is_zero, bounded = _bounded(x)
    _, integer, r, _ = reduce(bounded)
    return where(is_zero, 0.0, _scaled(r, integer))


def _bounded(x: Scalar) -> tuple[Scalar, Scalar]:
    """Whether ``e**x`` rounds to 0, and a number that is x where the result is neither 0 nor infinite."""
    is_zero = x < x.pick(-104.0, -746.0)
    return is_zero, where(is_zero, 0.0, at_most(x, x.pick(89.0, 710.0)))


def _scaled(r: Scalar, integer: Scalar) -> Scalar:
    """``e**r * 2**n``, from the integer of `reduce`."""
    first, second = powers_of_two(integer, r.format)
    return (tail(r) + r + 1.0) * first * second


def exp_of_sum(x: Scalar, rest: Scalar) -> Scalar:
    """``e**(x + rest)`` for a finite x and a smaller rest: the multiples of log(2) are taken from x first."""
    is_zero, bounded = _bounded(x + rest)
    n, integer, _, _ = reduce(bounded)
    high, low = x.pick(LN2_SINGLE, LN2_DOUBLE)
    return where(is_zero, 0.0, _scaled(((x - n * high) + rest) - n * low, integer))


def expm1(x: Scalar) -> Scalar:
    """``e**x - 1``. With s = ``2**n``, it is ``(s - 1) + s * r + s * tail(r)``, and the first two terms' sum is exact
    where it is small. All are computed for half of s, which does not overflow.
    """
    y = clamp(x, x.pick(-18.0, -38.0), x.pick(89.0, 710.0))
    n, integer, r, c = reduce(y)
    half = ((integer - (x.format.bias + 1)) << x.format.digits).as_float()
    large = 2.0 * (((half - 0.5) + half * r) + half * (tail(r) + c))
    # Where n is 0, half of the least number would be lost.
    return copysign(where(n.equals(0.0), r + tail(r), large), x)


def _half_of_exp(x: Scalar) -> tuple[Scalar, Scalar]:
    """``exp(x) / 2`` for x >= 0 as a sum of a number and a smaller one."""
    x = at_most(x, x.pick(90.0, 711.0))
    _, integer, r, c = reduce(x)
    first, second = powers_of_two(integer - 1, x.format)
    one_and_r = 1.0 + r
    rest = (r - (one_and_r - 1.0)) + (tail(r) + c)
    return one_and_r * first * second, rest * first * second


def sinh(x: Scalar) -> Scalar:
    """The hyperbolic sine: near 0 by a polynomial, elsewhere ``(exp(x) - exp(-x)) / 2``."""
    size = absolute(x)
    z = x * x
    near = x + x * (z * polynomial(z, x.pick(SINH_SINGLE, SINH_DOUBLE)))
    high, low = _half_of_exp(size)
    far = high + (low - 0.25 / (high + low))
    return where(size < 1.0, near, copysign(far, x))


def cosh(x: Scalar) -> Scalar:
    """The hyperbolic cosine, ``(exp(x) + exp(-x)) / 2``."""
    high, low = _half_of_exp(absolute(x))
    return high + (low + 0.25 / (high + low))


def tanh(x: Scalar) -> Scalar:
    """The hyperbolic tangent: near 0 by a polynomial, elsewhere ``1 - 2 / (exp(2 * x) + 1)``."""
    size = absolute(x)
    z = x * x
    near = size + size * (z * polynomial(z, x.pick(TANH_SINGLE, TANH_DOUBLE)))
    # tanh is 1 from here on
    bounded = at_most(size, x.pick(10.0, 20.0))
    _, integer, r, _ = reduce(bounded + bounded)
    power = ((integer - x.format.bias) << x.format.digits).as_float()
    far = 1.0 - 2.0 / ((tail(r) + r + 1.0) * power + 1.0)
    return copysign(where(size < TANH_BREAK, near, far), x)


def erf(x: Scalar) -> Scalar:
    """The error function: near 0 by a polynomial, elsewhere ``1 - exp(-p)`` with a polynomial p, whose error counts
    less and less.
    """
    size = absolute(x)
    z = x * x
    near = x + x * polynomial(z, x.pick(ERF_SINGLE, ERF_DOUBLE))
    t = at_most(size - 1.0, x.pick(3.0, 5.0))
    _, integer, r, _ = reduce(-polynomial(t, x.pick(ERF_FAR_SINGLE, ERF_FAR_DOUBLE)))
    power = ((integer - x.format.bias) << x.format.digits).as_float()
    far = 1.0 - (tail(r) + r + 1.0) * power
    return where(size < 1.0, near, copysign(far, x))
