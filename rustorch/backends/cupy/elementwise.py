"""Derivatives of elementwise functions, small powers, and the product of dropout: one launch each."""

from __future__ import annotations

from typing import Any

import cupy

from ..base import Array
from .launch import overrides

_apply_mask = cupy.ElementwiseKernel(
    "T x, T mask", "T out", "out = mask == (T)0 ? (T)0 : x * mask", "rustorch_apply_mask"
)
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
    T finite = isinf(x2) ? (T)1 : x2, less = finite - (T)1, part = less - finite;
    T error = (finite - (less - part)) - ((T)1 + part);
    if (size == (T)0 || isinf(size)) size = 1;
    out = x2 == (T)0 || power == (T)0 ? (T)0 : x2 * power;
    if (!isinf(out)) out *= exp(error * log(size));
    """,
    "rustorch_pow_slope",
)
#: Divide x1 and x2 by the larger of their absolute values: u1, u2, and the sum of their squares.
_SCALED = """
    T size1 = fabs(x1), size2 = fabs(x2), size = size1 > size2 || size1 != size1 ? size1 : size2;
    bool zero = size == (T)0, infinite = isinf(size);
    if (zero || infinite) size = 1;
    T u1 = !infinite ? x1 / size : isinf(x1) ? copysign((T)1, x1) : (T)0;
    T u2 = !infinite ? x2 / size : isinf(x2) ? copysign((T)1, x2) : (T)0;
    T square = zero ? (T)1 : u1 * u1 + u2 * u2;
"""
_hypot_slope = cupy.ElementwiseKernel(
    "T x1, T x2", "T out", _SCALED + "out = u1 / sqrt(square)", "rustorch_hypot_slope"
)
_atan2_slope = cupy.ElementwiseKernel(
    "T x1, T x2", "T out", _SCALED + "out = infinite ? (T)0 : u2 / square / size", "rustorch_atan2_slope"
)
_logaddexp_slope = cupy.ElementwiseKernel(
    "T x1, T x2",
    "T out",
    """
    T half1 = x1 == x2 ? (T)0 : x1 / 2, half2 = x1 == x2 ? (T)0 : x2 / 2, half = half1 - half2, error = 0;
    if (fabs(half) > (T)500) {
        half = copysign((T)500, half);
    } else {
        T part = half - half1;
        error = (half1 - (half - part)) - (half2 + part);
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


def apply_mask(x: Array, mask: Array) -> Array:
    return _apply_mask(x, mask)


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


OVERRIDES = overrides(
    apply_mask,
    tanh_slope,
    sqrt_one_minus_square,
    sqrt_one_plus_square,
    sqrt_square_minus_one,
    hypot_slope,
    atan2_slope,
    logaddexp_slope,
    pow_slope,
    small_power,
)
