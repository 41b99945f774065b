"""Functions of single numbers, one launch each: derivatives, small powers, and those of the standard for which the host
has to wait.

The latter, clip and sign, array-api-compat computes on CuPy by boolean masks.
"""

from __future__ import annotations

from typing import Any

import cupy

from .launch import REAL, Array, overrides

_clip = cupy.ElementwiseKernel(
    "T x, T low, T high",
    "T out",
    "out = x < low || low != low ? low : x; out = out > high || high != high ? high : out",
    "rustorch_clip",
)
_sign = cupy.ElementwiseKernel("T x", "T out", "out = x != x ? x : (T)((x > (T)0) - (x < (T)0))", "rustorch_sign")


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Every element in [min, max], in the dtype of ``x``. A bound that is nan gives nan; where the bounds cross, the
    upper one counts.
    """
    limits = cupy.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    low = None if limits and type(min) is int and min <= limits.min else _bound(x, min)
    high = None if limits and type(max) is int and max >= limits.max else _bound(x, max)
    if x.dtype in REAL and not low is high is None:
        return _clip(x, -cupy.inf if low is None else low, cupy.inf if high is None else high)
    if low is high is None:
        return x.copy()
    out = x if low is None else cupy.maximum(x, low)
    return out if high is None else cupy.minimum(out, high)


def _bound(x: Array, bound: Any) -> Any:
    return bound.astype(x.dtype, copy=False) if isinstance(bound, cupy.ndarray) else bound


def sign(x: Array, /) -> Array:
    """-1, 0 or 1 with the sign of ``x``, and nan for nan; for complex numbers ``x / abs(x)``."""
    if x.dtype in REAL:
        return _sign(x)
    if x.dtype.kind == "c":
        size = cupy.abs(x)
        return x / cupy.where(size == 0, cupy.ones_like(size), size)
    return cupy.sign(x)


# -- derivatives -------------------------------------------------------------------------------------------------------
_tanh_slope = cupy.ElementwiseKernel(
    "T x", "T out", "T e = exp(-fabs(x)); e = e / ((T)1 + e * e); out = (T)4 * (e * e)", "rustorch_tanh_slope"
)
_sqrt_one_minus_square = cupy.ElementwiseKernel(
    "T x", "T out", "out = sqrt((T)1 - x) * sqrt((T)1 + x)", "rustorch_sqrt_one_minus_square"
)
_sqrt_one_plus_square = cupy.ElementwiseKernel("T x", "T out", "out = hypot((T)1, x)", "rustorch_sqrt_one_plus_square")
_sqrt_square_minus_one = cupy.ElementwiseKernel(
    "T x", "T out", "out = sqrt(x - (T)1) * sqrt(x + (T)1)", "rustorch_sqrt_square_minus_one"
)
_pow_slope = cupy.ElementwiseKernel(
    "T x1, T x2",
    "T out",
    """
    T power = pow(x2 == (T)0 ? (T)1 : x1, x2 - (T)1), size = fabs(x1);
    T finite = isinf(x2) ? (T)1 : x2, less = finite - (T)1, part = less - finite, error = (finite - (less - part)) - ((T)1 + part);
    if (size == (T)0 || isinf(size)) size = 1;
    out = x2 == (T)0 || power == (T)0 ? (T)0 : x2 * power;
    if (!isinf(out)) out *= exp(error * log(size));
    """,
    "rustorch_pow_slope",
)
_SCALED = """
    T one = fabs(x1), two = fabs(x2), size = one > two || one != one ? one : two;
    bool none = size == (T)0, infinite = isinf(size);
    if (none || infinite) size = 1;
    one = !infinite ? x1 / size : isinf(x1) ? copysign((T)1, x1) : (T)0;
    two = !infinite ? x2 / size : isinf(x2) ? copysign((T)1, x2) : (T)0;
    T square = none ? (T)1 : one * one + two * two;
"""
_hypot_slope = cupy.ElementwiseKernel(
    "T x1, T x2", "T out", _SCALED + "out = one / sqrt(square)", "rustorch_hypot_slope"
)
_atan2_slope = cupy.ElementwiseKernel(
    "T x1, T x2", "T out", _SCALED + "out = infinite ? (T)0 : two / square / size", "rustorch_atan2_slope"
)
_logaddexp_slope = cupy.ElementwiseKernel(
    "T x1, T x2",
    "T out",
    """
    T one = x1 == x2 ? (T)0 : x1 / 2, two = x1 == x2 ? (T)0 : x2 / 2, half = one - two, error = 0;
    if (fabs(half) > (T)500) half = copysign((T)500, half);
    else {
        T part = half - one;
        error = (one - (half - part)) - (two + part);
    }
    T e = exp((T)-2 * fabs(half)), larger = (T)1 / ((T)1 + e), smaller = e / ((T)1 + e);
    out = (half >= (T)0 ? larger : smaller) + (T)2 * error * larger * smaller;
    """,
    "rustorch_logaddexp_slope",
)
_small_power = cupy.ElementwiseKernel(
    "T x, int32 n",
    "T out",
    """
    T power = n < 0 ? (T)1 / x : x;
    bool first = true;
    out = 1;
    for (int rest = n < 0 ? -n : n; rest; rest >>= 1, power *= power)
        if (rest & 1) {
            out = first ? power : out * power;
            first = false;
        }
    """,
    "rustorch_small_power",
)


def tanh_slope(x: Array) -> Array:
    return _tanh_slope(x)


def sqrt_one_minus_square(x: Array) -> Array:
    return _sqrt_one_minus_square(x)


def sqrt_one_plus_square(x: Array) -> Array:
    return _sqrt_one_plus_square(x)


def sqrt_square_minus_one(x: Array) -> Array:
    return _sqrt_square_minus_one(x)


def hypot_slope(x1: Any, x2: Any) -> Array:
    return _hypot_slope(x1, x2)


def atan2_slope(x1: Any, x2: Any) -> Array:
    return _atan2_slope(x1, x2)


def pow_slope(x1: Any, x2: Any) -> Array:
    return _pow_slope(x1, x2)


def logaddexp_slope(x1: Any, x2: Any) -> Array:
    return _logaddexp_slope(x1, x2)


def small_power(x: Array, n: int) -> Array:
    return _small_power(x, n)


OVERRIDES = {
    "clip": clip,
    "sign": sign,
    **overrides(
        tanh_slope,
        sqrt_one_minus_square,
        sqrt_one_plus_square,
        sqrt_square_minus_one,
        hypot_slope,
        atan2_slope,
        logaddexp_slope,
        pow_slope,
        small_power,
    ),
}
