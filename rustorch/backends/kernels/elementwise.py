"""Derivatives of elementwise functions that lose digits, overflow or end as nan when they are put together from the
functions themselves; and small powers.

Each is accurate to a few units in the last place wherever its function has a derivative; at infinity it is the limit.
"""

from __future__ import annotations

from typing import Any

#: Exponents for which multiplying is as good as a power: its relative error is at most one and a half times the dtype's
#: epsilon.
SMALL_POWERS = frozenset(range(-2, 5))
#: Beyond half of this difference, one of two exponentials is 0 beside the other, in float64, too.
FAR = 500.0


def small_power(xp: Any, x: Any, n: int) -> Any:
    """``x ** n`` of real floating-point numbers by multiplication, for an integer among `SMALL_POWERS`.

    A negative power is one of ``1 / x``: a positive power of ``x`` could overflow where its reciprocal is still a
    number.
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


def pow_slope(xp: Any, x1: Any, x2: Any) -> Any:
    """``x2 * x1 ** (x2 - 1)``, the derivative of pow in the base; 0 where the exponent is 0, and where the power is.

    The rounding error of ``x2 - 1``, times the logarithm of the base, is a relative one of the power: it is computed,
    and taken back.
    """
    x1, x2 = _arrays(xp, x1, x2)
    one = xp.ones_like(x2)
    power = xp.pow(xp.where(x2 == 0, one, x1), x2 - 1)
    none = xp.logical_or(x2 == 0, power == 0)
    out = xp.where(none, xp.zeros_like(x2), x2) * xp.where(none, xp.zeros_like(power), power)
    if xp.isdtype(out.dtype, "complex floating"):
        return out
    finite = xp.where(xp.isinf(x2), one, x2)
    less = finite - 1
    part = less - finite
    error = (finite - (less - part)) - (1 + part)
    size = xp.abs(x1)
    size = xp.where(xp.logical_or(size == 0, xp.isinf(size)), xp.ones_like(size), size)
    return xp.where(xp.isinf(out), out, out * xp.exp(error * xp.log(size)))


def zero_gradient(xp: Any, g: Any, x: Any) -> Any:
    """The gradient of a function of ``x`` that is constant almost everywhere: zeros, whose own derivatives are zeros,
    too.
    """
    return xp.zeros_like(g)


def tanh_slope(xp: Any, x: Any) -> Any:
    """The derivative of tanh, ``1 / cosh(x) ** 2``; from ``exp(-abs(x))``, which cannot overflow."""
    e = xp.exp(xp.where(xp.real(x) < 0, x, -x) if xp.isdtype(x.dtype, "complex floating") else -xp.abs(x))
    out = e / (1 + e * e)
    return 4 * (out * out)


def sqrt_one_minus_square(xp: Any, x: Any) -> Any:
    """``sqrt(1 - x * x)``."""
    return xp.sqrt(1 - x) * xp.sqrt(1 + x)


def sqrt_one_plus_square(xp: Any, x: Any) -> Any:
    """``sqrt(1 + x * x)``."""
    if xp.isdtype(x.dtype, "complex floating"):
        return sqrt_one_minus_square(xp, 1j * x)
    return xp.hypot(xp.ones_like(x), x)


def sqrt_square_minus_one(xp: Any, x: Any) -> Any:
    """``sqrt(x * x - 1)``."""
    return xp.sqrt(x - 1) * xp.sqrt(x + 1)


def _arrays(xp: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    """Both operands as arrays: one of them may be a Python number."""
    if not hasattr(x1, "dtype"):
        x1 = xp.full_like(x2, x1)
    return x1, x2 if hasattr(x2, "dtype") else xp.full_like(x1, x2)


def _scaled(xp: Any, x1: Any, x2: Any) -> tuple[Any, Any, Any, Any, Any]:
    """``x1`` and ``x2`` over the larger size, that size, where it is 0, and where it is infinite (it counts as 1 at
    both).
    """
    x1, x2 = _arrays(xp, x1, x2)
    size = xp.maximum(xp.abs(x1), xp.abs(x2))
    none, infinite = size == 0, xp.isinf(size)
    size = xp.where(xp.logical_or(none, infinite), xp.ones_like(size), size)
    one, two = (xp.where(infinite, xp.where(xp.isinf(x), xp.sign(x), xp.zeros_like(x)), x) / size for x in (x1, x2))
    return one, two, size, none, infinite


def hypot_slope(xp: Any, x1: Any, x2: Any) -> Any:
    """``x1 / hypot(x1, x2)``, the derivative of hypot in ``x1``; 0 where both are 0."""
    one, two, _, none, _ = _scaled(xp, x1, x2)
    length = xp.sqrt(one * one + two * two)
    return one / xp.where(none, xp.ones_like(length), length)


def atan2_slope(xp: Any, x1: Any, x2: Any) -> Any:
    """``x2 / (x1 ** 2 + x2 ** 2)``, the derivative of atan2 in ``x1``; 0 where both are 0."""
    one, two, size, none, infinite = _scaled(xp, x1, x2)
    square = one * one + two * two
    out = two / xp.where(none, xp.ones_like(square), square) / size
    return xp.where(infinite, xp.zeros_like(out), out)


def logaddexp_slope(xp: Any, x1: Any, x2: Any) -> Any:
    """``exp(x1) / (exp(x1) + exp(x2))``, the derivative of logaddexp in ``x1``; 1/2 where both are the same infinity.

    The rounding error of the difference counts for much in its exponential, so it is computed, too.
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


def apply_mask(xp: Any, x: Any, mask: Any) -> Any:
    """``x * mask``, and 0 where the mask is 0, whatever x is; the mask broadcasts to x. What dropout computes."""
    return xp.where(mask == 0, xp.zeros_like(x), x) * mask
