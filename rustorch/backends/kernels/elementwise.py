"""Derivatives of elementwise functions, small powers, and the product with a mask.

The formulas in every textbook for these derivatives lose digits, overflow or end as nan. These are accurate to a few
units in the last place wherever the function has a derivative; at infinity they return the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: Exponents for which products are as accurate as a power: the relative error is at most 1.5 times the dtype's epsilon.
SMALL_POWERS = frozenset(range(-2, 5))
#: If half the difference of two exponents is larger, the smaller exponential is 0 beside the other, also in float64.
FAR = 500.0


def small_power(xp: Namespace, x: Array, n: int) -> Array:
    """``x ** n`` of real floating-point numbers by multiplication, for an integer among `SMALL_POWERS`.

    A negative power is a positive power of ``1 / x``: the positive power of ``x`` could overflow although its
    reciprocal is representable.
    """
    if n == 0:
        return xp.ones_like(x)
    if n == 1:
        return x * 1  # a new array
    if n < 0:
        x, n = 1 / x, -n
    out = None
    while True:
        if n & 1:
            out = x if out is None else out * x
        n >>= 1
        if not n:
            return out
        x = x * x


def pow_slope(xp: Namespace, x1: Array, x2: Array) -> Array:
    """``x2 * x1 ** (x2 - 1)``, the derivative of pow in the base; 0 where the exponent or the power is 0.

    The rounding error of ``x2 - 1`` times the logarithm of the base is a relative error of the power. So this error is
    computed, and the result is corrected.
    """
    x1, x2 = _arrays(xp, x1, x2)
    one = xp.ones_like(x2)
    power = xp.pow(xp.where(x2 == 0, one, x1), x2 - 1)
    is_zero = xp.logical_or(x2 == 0, power == 0)
    out = xp.where(is_zero, xp.zeros_like(x2), x2) * xp.where(is_zero, xp.zeros_like(power), power)
    if xp.isdtype(out.dtype, "complex floating"):
        return out
    finite = xp.where(xp.isinf(x2), one, x2)
    less = finite - 1
    part = less - finite
    error = (finite - (less - part)) - (1 + part)
    size = xp.abs(x1)
    size = xp.where(xp.logical_or(size == 0, xp.isinf(size)), xp.ones_like(size), size)
    return xp.where(xp.isinf(out), out, out * xp.exp(error * xp.log(size)))


def zero_gradient(xp: Namespace, g: Array, x: Array) -> Array:
    """Zeros: the gradient of a function that is constant almost everywhere. The gradients of these are zeros, too."""
    return xp.zeros_like(g)


def tanh_slope(xp: Namespace, x: Array) -> Array:
    """The derivative of tanh, ``1 / cosh(x) ** 2``, computed from ``exp(-abs(x))``, which cannot overflow."""
    e = xp.exp(xp.where(xp.real(x) < 0, x, -x) if xp.isdtype(x.dtype, "complex floating") else -xp.abs(x))
    out = e / (1 + e * e)
    return 4 * (out * out)


def sqrt_one_minus_square(xp: Namespace, x: Array) -> Array:
    """``sqrt(1 - x * x)``."""
    return xp.sqrt(1 - x) * xp.sqrt(1 + x)


def sqrt_one_plus_square(xp: Namespace, x: Array) -> Array:
    """``sqrt(1 + x * x)``."""
    if xp.isdtype(x.dtype, "complex floating"):
        return sqrt_one_minus_square(xp, 1j * x)
    return xp.hypot(xp.ones_like(x), x)


def sqrt_square_minus_one(xp: Namespace, x: Array) -> Array:
    """``sqrt(x * x - 1)``."""
    return xp.sqrt(x - 1) * xp.sqrt(x + 1)


def _arrays(xp: Namespace, x1: Array, x2: Array) -> tuple[Array, Array]:
    """Both operands as arrays. One of them may be a Python number."""
    if not hasattr(x1, "dtype"):
        x1 = xp.full_like(x2, x1)
    return x1, x2 if hasattr(x2, "dtype") else xp.full_like(x1, x2)


def _scaled(xp: Namespace, x1: Array, x2: Array) -> tuple[Array, Array, Array, Array, Array]:
    """``x1`` and ``x2`` divided by the larger of their sizes; this size, or 1 where it is 0 or infinite; where it is 0;
    and where it is infinite.
    """
    x1, x2 = _arrays(xp, x1, x2)
    size = xp.maximum(xp.abs(x1), xp.abs(x2))
    is_zero, infinite = size == 0, xp.isinf(size)
    size = xp.where(xp.logical_or(is_zero, infinite), xp.ones_like(size), size)
    one, two = (xp.where(infinite, xp.where(xp.isinf(x), xp.sign(x), xp.zeros_like(x)), x) / size for x in (x1, x2))
    return one, two, size, is_zero, infinite


def hypot_slope(xp: Namespace, x1: Array, x2: Array) -> Array:
    """``x1 / hypot(x1, x2)``, the derivative of hypot in ``x1``; 0 where both are 0."""
    one, two, _, is_zero, _ = _scaled(xp, x1, x2)
    length = xp.sqrt(one * one + two * two)
    return one / xp.where(is_zero, xp.ones_like(length), length)


def atan2_slope(xp: Namespace, x1: Array, x2: Array) -> Array:
    """``x2 / (x1 ** 2 + x2 ** 2)``, the derivative of atan2 in ``x1``; 0 where both are 0."""
    one, two, size, is_zero, infinite = _scaled(xp, x1, x2)
    square = one * one + two * two
    out = two / xp.where(is_zero, xp.ones_like(square), square) / size
    return xp.where(infinite, xp.zeros_like(out), out)


def logaddexp_slope(xp: Namespace, x1: Array, x2: Array) -> Array:
    """``exp(x1) / (exp(x1) + exp(x2))``, the derivative of logaddexp in ``x1``; 1/2 where both are the same infinity.

    A small rounding error of the difference is a large one of its exponential, so it is computed and corrected.
    Source: Knuth, "The Art of Computer Programming", volume 2, 1997, section 4.2.2, theorem B.
    """
    x1, x2 = _arrays(xp, x1, x2)
    same = x1 == x2
    half1, half2 = (xp.where(same, xp.zeros_like(x), x) / 2 for x in (x1, x2))
    half = half1 - half2
    far = xp.abs(half) > FAR
    half1, half2 = (xp.where(far, xp.zeros_like(x), x) for x in (half1, half2))
    near = half1 - half2
    part = near - half1
    error = (half1 - (near - part)) - (half2 + part)
    half = xp.where(far, FAR * xp.sign(half), half)
    e = xp.exp(-2 * xp.abs(half))
    larger, smaller = 1 / (1 + e), e / (1 + e)
    first = half >= 0
    return xp.where(first, larger, smaller) + 2 * error * larger * smaller


def apply_mask(xp: Namespace, x: Array, mask: Array) -> Array:
    """``x * mask``, and 0 where the mask is 0, whatever x is. The mask broadcasts to x. Dropout computes this."""
    return xp.where(mask == 0, xp.zeros_like(x), x) * mask
