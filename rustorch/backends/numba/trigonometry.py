"""Formulas of sin, cos, tan and their inverses, for loops that Numba compiles.

Method: Payne & Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18, 1983. An argument of any
size is multiplied by the bits of 2 / pi that count for it. Leading bits whose products are multiples of 4, which is a
full turn, are left out. The bits for an exponent are selected or come from a table, so a loop needs no branch. The
inverse functions follow Cody & Waite, "Software manual for the elementary functions", 1980. All polynomials were fitted
by Remez's exchange with 50 digits, for the relative error. No code was copied.
"""

from __future__ import annotations

from functools import cache
from math import inf

from .scalar import DOUBLE, SINGLE, Scalar, absolute, copysign, fma, polynomial, where

#: 2 / pi times ``2**1216``.
TWO_OVER_PI = int(
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424d"
    "d2e006492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639"
    "835339f49c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f46"
    "3f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6bab",
    16,
)
TWO_OVER_PI_BITS = 1216
#: pi / 2 and pi / 4 in two parts. Small multiples of the first part of pi / 4 are exact.
HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
HALF_PI_SINGLE = (1.5707963705062866, -4.371138828673793e-08)
QUARTER_PI_SINGLE = (0.785398006439209, 1.5695823932524066e-07)
QUARTER_PI_DOUBLE = (0.7853981633974483, 3.061616997868383e-17)
#: ``(sin(x) - x) / x**3`` and ``(cos(x) - 1 + x**2 / 2) / x**4`` of ``x**2``, up to pi / 4, computed in float64.
SIN_SINGLE = (2.7181246263904323e-06, -0.00019839312642043992, 0.008333329306131091, -0.16666666640809702)
COS_SINGLE = (2.443852979901875e-05, -0.0013887368273423793, 0.04166664688133)
SIN_DOUBLE = (
    1.5895446506287153e-10,
    -2.5050734502152162e-08,
    2.7557313538772524e-06,
    -0.000198412698293586,
    0.00833333333332184,
    -0.1666666666666663,
)
COS_DOUBLE = (
    -1.13599314680109e-11,
    2.087572924206804e-09,
    -2.755731440085026e-07,
    2.4801587289671266e-05,
    -0.0013888888888874474,
    0.0416666666666666,
)
#: ``(asin(x) - x) / x**3`` of ``x**2``, up to 1 / 2.
ASIN_SINGLE = (
    0.03768981993198395,
    0.014317593537271023,
    0.03183876350522041,
    0.044513385742902756,
    0.07500521838665009,
    0.16666659712791443,
)
ASIN_DOUBLE = (
    0.03191239966675039,
    -0.016224524312622144,
    0.019528499019410277,
    0.006527863803020543,
    0.012169244520156414,
    0.013885229173528609,
    0.01735970555541111,
    0.022371757985603462,
    0.030381959140282272,
    0.04464285682823115,
    0.0750000000033715,
    0.16666666666665408,
)
#: ``(atan(x) - x) / x**3`` of ``x**2``, up to ATAN_BREAK.
ATAN_BREAK = 0.66
ATAN_SINGLE = (
    -0.017851192504167557,
    0.05167952552437782,
    -0.08309052884578705,
    0.10969645529985428,
    -0.1427161991596222,
    0.19999325275421143,
    -0.33333322405815125,
)
ATAN_DOUBLE = (
    -0.0019017957562937208,
    0.008646854965145615,
    -0.01970956172297524,
    0.031128668429090667,
    -0.04004353170512,
    0.04661633182992121,
    -0.05241170927870782,
    0.058787613820319225,
    -0.06666236016959559,
    0.07692270674818248,
    -0.09090906891364052,
    0.11111111025693707,
    -0.1428571428373392,
    0.19999999999976692,
    -0.33333333333333237,
)


# -- the reduction of an argument --------------------------------------------------------------------------------------
def _parts(highest: int, digits: tuple[int, ...], shift: int) -> list[float]:
    """2 / pi without its bits of weight ``2**highest`` and above, times ``2**shift``, as a sum of numbers with so many
    digits each.
    """
    rest = TWO_OVER_PI & ((1 << max(0, TWO_OVER_PI_BITS + highest)) - 1)
    place = min(highest, 0) + TWO_OVER_PI_BITS
    parts = []
    for count in digits:
        place -= count
        part = rest >> place << place
        rest -= part
        parts.append(part / (1 << (TWO_OVER_PI_BITS - shift)))
    return parts


#: Float32 has a few groups of exponents, each with two parts of 2 / pi: up to ``2**22``, and then of 22 exponents each.
GROUPS_SINGLE = [(0.0, _parts(0, (53, 53), 0)), *((2.0**e, _parts(25 - e, (53, 53), 0)) for e in range(22, 128, 22))]
#: Float64 has groups of 8 exponents, in tables that start below pi / 4.
FIRST_DOUBLE = 127


@cache
def tables() -> tuple[list[float], ...]:
    """The four parts of 2 / pi for float64, each for all groups of exponents."""
    first = [8 * group - DOUBLE.bias for group in range(FIRST_DOUBLE, 256)]
    return tuple(map(list, zip(*[_parts(54 - e, (53, 53, 53, 53), e) for e in first], strict=True)))


def _two_sum(a: Scalar, b: Scalar) -> tuple[Scalar, Scalar]:
    """A sum, and what its rounding loses (Knuth)."""
    out = a + b
    of_b = out - a
    return out, (a - (out - of_b)) + (b - of_b)


def _fast_two_sum(a: Scalar, b: Scalar) -> tuple[Scalar, Scalar]:
    """The same where a is 0 or not smaller than b (Dekker)."""
    out = a + b
    return out, b - (out - a)


def _integer(x: Scalar) -> tuple[Scalar, Scalar]:
    """The nearest integer, as a float and in the last bits of an integer."""
    sum_ = x + DOUBLE.magic
    return sum_ - DOUBLE.magic, sum_.bits()


def _reduce_single(x: Scalar) -> tuple[Scalar, Scalar]:
    """A float32 as ``n * pi / 2 + r``, in float64: r, and n in the last bits."""
    size, y = absolute(x), x.double()
    first, second = map(y.like, GROUPS_SINGLE[0][1])
    for start, parts in GROUPS_SINGLE[1:]:
        above = size >= start
        first, second = where(above, parts[0], first), where(above, parts[1], second)
    product = y * first
    n, integer = _integer(product)
    return ((product - n) + (fma(y, first, -product) + y * second)) * HALF_PI[0], integer


def _remainder_of_4(x: Scalar) -> Scalar:
    return x - 4.0 * (x * 0.25).call("rint")


def _reduce_double(x: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """A float64 as ``n * pi / 2 + r + rest``: r, the rest, and n in the last bits."""
    bits = x.bits()
    group = ((bits >> (DOUBLE.digits + 3)) & 255) - FIRST_DOUBLE
    group = where(group < 0, 0, group)
    t1, t2, t3, t4 = (group.look_up(f"two_over_pi_{i}", part) for i, part in enumerate(tables()))
    # x times a power of two, so that neither the table nor the products are subnormal
    stored = (bits >> DOUBLE.digits) & 2047
    scaled = (bits - ((stored - (stored & 7) - DOUBLE.bias) << DOUBLE.digits)).as_float()
    p1, p2, p3 = scaled * t1, scaled * t2, scaled * t3
    lost1, lost2, lost3 = fma(scaled, t1, -p1), fma(scaled, t2, -p2), fma(scaled, t3, -p3)
    a, a_lost = _fast_two_sum(_remainder_of_4(p1), _remainder_of_4(lost1))
    b, b_lost = _two_sum(a, p2)
    n, integer = _integer(b)
    c, c_lost = _two_sum(a_lost, b_lost)
    d, d_lost = _two_sum(lost2, p3)
    e, e_lost = _two_sum(c, d)
    f, f_lost = _two_sum(b - n, e)
    f, f_lost = _fast_two_sum(f, f_lost + ((c_lost + d_lost) + (e_lost + (lost3 + scaled * t4))))
    r = f * HALF_PI[0]
    rest = fma(f, HALF_PI[0], -r) + (f * HALF_PI[1] + f_lost * HALF_PI[0])
    size = absolute(x)
    near = size < QUARTER_PI_DOUBLE[0]
    r = where(near, x, where(size < inf, r, x - x))
    return r, where(near, x * 0.0, rest), where(near, 0, integer)


def _sin_and_cos(x: Scalar) -> tuple[Scalar, Scalar, Scalar, Scalar, Scalar]:
    """The sine and the cosine of the reduced argument, each as a sum of a number and a smaller one, and n in the last
    bits, in float64.
    """
    if x.format is SINGLE:
        r, n = _reduce_single(x)
        z = r * r
        return r, r * (z * polynomial(z, SIN_SINGLE)), z.like(1.0), z * (z * polynomial(z, COS_SINGLE) - 0.5), n
    r, rest, n = _reduce_double(x)
    z = r * r
    half = 0.5 * z
    coarse = 1.0 - half
    sine_rest = r * (z * polynomial(z, SIN_DOUBLE)) + rest * coarse
    cosine_rest = ((1.0 - coarse) - half) + (z * z * polynomial(z, COS_DOUBLE) - r * rest)
    return r, sine_rest, coarse, cosine_rest, n


def _choose(x: Scalar, quarter: int) -> Scalar:
    """The sine of x plus a number of quarters of a turn."""
    sine, sine_rest, cosine, cosine_rest, n = _sin_and_cos(x)
    n = n + quarter
    out = where((n & 1).equals(0), sine + sine_rest, cosine + cosine_rest)
    return (out.bits() ^ ((n & 2) << (DOUBLE.width - 2))).as_float().rounded_like(x)


def sin(x: Scalar) -> Scalar:
    """The sine."""
    return where(x.equals(0.0), x, _choose(x, 0))


def cos(x: Scalar) -> Scalar:
    """The cosine."""
    return _choose(x, 1)


def tan(x: Scalar) -> Scalar:
    """The tangent: the quotient of sine and cosine, corrected by what the quotient's rounding loses."""
    sine, sine_rest, cosine, cosine_rest, n = _sin_and_cos(x)
    sine, sine_rest = _fast_two_sum(sine, sine_rest)
    cosine, cosine_rest = _fast_two_sum(cosine, cosine_rest)
    odd = (n & 1).equals(1)
    above, above_rest = where(odd, -cosine, sine), where(odd, -cosine_rest, sine_rest)
    below, below_rest = where(odd, sine, cosine), where(odd, sine_rest, cosine_rest)
    if x.format is SINGLE:
        return where(x.equals(0.0), x, (above / below).rounded_like(x))
    inverse = 1.0 / below
    quotient = above * inverse
    missing = fma(-quotient, below, above) + (above_rest - quotient * below_rest)
    return where(x.equals(0.0), x, quotient + missing * inverse)


# -- the inverse functions ---------------------------------------------------------------------------------------------
def _asin_parts(x: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """Whether the size of x is above 1 / 2; then y, the root of ``(1 - size) / 2``, and x elsewhere; and
    ``asin(y) - y``.
    """
    size = absolute(x)
    large = size > 0.5
    z = where(large, 0.5 - 0.5 * size, x * x)
    y = where(large, z.call("sqrt"), size)
    return large, y, y * (z * polynomial(z, x.pick(ASIN_SINGLE, ASIN_DOUBLE)))


def asin(x: Scalar) -> Scalar:
    """The inverse sine, near 1 by ``pi / 2 - 2 * asin(sqrt((1 - x) / 2))``."""
    large, y, rest = _asin_parts(x)
    high, low = x.pick(HALF_PI_SINGLE, HALF_PI)
    far, far_rest = _fast_two_sum(y.like(high), -(y + y))
    far = far + (far_rest - ((rest + rest) - low))
    return copysign(where(large, far, y + rest), x)


def acos(x: Scalar) -> Scalar:
    """The inverse cosine, near 1 by ``2 * asin(sqrt((1 - x) / 2))`` and elsewhere by ``pi / 2 - asin(x)``."""
    large, y, rest = _asin_parts(x)
    high, low = x.pick(HALF_PI_SINGLE, HALF_PI)
    # pi minus twice a number, twice the number, or pi / 2 minus a signed one
    multiple = where(large, where(x < 0.0, x.like(2.0), 0.0), x.like(1.0))
    sign = where(large, x, -x)
    y, rest = where(large, y + y, y), where(large, rest + rest, rest)
    return (multiple * high + copysign(y, sign)) + (copysign(rest, sign) + multiple * low)


def _angle(y: Scalar, x: Scalar, negative: Scalar | None) -> Scalar:
    """The angle of a point with coordinates that are not negative, mirrored to the other side where ``negative``."""
    steep = y > x
    small, large = where(steep, x, y), where(steep, y, x)
    middle = small > large * ATAN_BREAK
    t = where(middle, small - large, small) / where(middle, small + large, large)
    # the angle is a number of eighths of a turn, plus or minus atan(t)
    number = where(middle, t.like(1.0), where(steep, t.like(2.0), 0.0))
    t = where(steep, -t, t)
    if negative is not None:
        number, t = where(negative, 4.0 - number, number), where(negative, -t, t)
    z = t * t
    rest = t * (z * polynomial(z, x.pick(ATAN_SINGLE, ATAN_DOUBLE)))
    high, low = x.pick(QUARTER_PI_SINGLE, QUARTER_PI_DOUBLE)
    return number * high + (t + (rest + number * low))


def atan(x: Scalar) -> Scalar:
    """The inverse tangent."""
    return copysign(_angle(absolute(x), x.like(1.0), None), x)


def atan2(y: Scalar, x: Scalar) -> Scalar:
    """The angle of the point (x, y), from -pi to pi."""
    of_y, of_x = absolute(y), absolute(x)
    # Scaled by a power of two, sums do not overflow, and a product with ATAN_BREAK is not subnormal.
    huge, least = x.pick(2.0**125, 2.0**1021), x.format.smallest
    scale = where((of_x < least) & (of_y < least), x.like(2.0 ** (x.format.digits + 2)), 1.0)
    scale = where((of_x > huge) | (of_y > huge), x.like(0.125), scale)
    both_infinite, both_zero = of_x.equals(inf) & of_y.equals(inf), of_x.equals(0.0) & of_y.equals(0.0)
    down = where(both_infinite | both_zero, x.like(1.0), of_x * scale)
    up = where(both_infinite, x.like(1.0), of_y * scale)
    return copysign(_angle(up, down, x.bits() < 0), y)
