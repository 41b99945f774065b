"""Losses of single numbers and their derivatives: one launch each."""

from __future__ import annotations

import cupy

from .launch import Array, overrides

#: A number brought into [-limit, limit]; nan stays nan.
_CLIPPED = "T c = d < -limit ? -limit : d > limit ? limit : d; "
_huber = cupy.ElementwiseKernel("T d, T limit", "T out", _CLIPPED + "out = c * (d - (T)0.5 * c)", "rustorch_huber")
_huber_grad = cupy.ElementwiseKernel("T g, T d, T limit", "T out", _CLIPPED + "out = g * c", "rustorch_huber_grad")
_smooth_l1 = cupy.ElementwiseKernel(
    "T d, T limit", "T out", _CLIPPED + "out = c / limit * (d - (T)0.5 * c)", "rustorch_smooth_l1"
)
_smooth_l1_grad = cupy.ElementwiseKernel(
    "T g, T d, T limit", "T out", _CLIPPED + "out = g * (c / limit)", "rustorch_smooth_l1_grad"
)
_binary_cross_entropy = cupy.ElementwiseKernel(
    "T x, T y",
    "T out",
    """
    T one = log(x <= (T)0 ? (T)1 : x), other = x >= (T)1 ? (T)-100 : log1p(-x);
    one = x <= (T)0 || one < (T)-100 ? (T)-100 : one;
    out = -(y * one + ((T)1 - y) * other);
    """,
    "rustorch_binary_cross_entropy",
)
_binary_cross_entropy_grad = cupy.ElementwiseKernel(
    "T g, T x, T y",
    "T out",
    "T v = x * ((T)1 - x); out = g * ((x - y) / (v < (T)1e-12 ? (T)1e-12 : v))",
    "rustorch_binary_cross_entropy_grad",
)
_with_logits = cupy.ElementwiseKernel(
    "T x, T y, T p",
    "T out",
    """
    T size = fabs(x), above = (T)1 - y, below = p * y, slope = x > (T)0 ? above : below;
    out = (slope == (T)0 ? (T)0 : size * slope) + (above + below) * log1p(exp(-size));
    """,
    "rustorch_binary_cross_entropy_with_logits",
)
_with_logits_grad = cupy.ElementwiseKernel(
    "T g, T x, T y, T p",
    "T out",
    """
    T size = fabs(x), above = (T)1 - y, below = p * y, e = exp(-size);
    T far = x > (T)0 ? above - below * e : above * e - below;
    T near = above - below - (x > (T)0 ? below : -above) * expm1(-size);
    out = g * ((size < (T)1 ? near : far) / ((T)1 + e));
    """,
    "rustorch_binary_cross_entropy_with_logits_grad",
)
_quotient = cupy.ElementwiseKernel("T x, T y", "T out", "out = x / y", "rustorch_quotient")
_quotient_or_zero = cupy.ElementwiseKernel(
    "T x, T y", "T out", "out = y == (T)0 ? (T)0 : x / y", "rustorch_quotient_or_zero"
)


def huber(d: Array, delta: float) -> Array:
    return _huber(d, delta)


def huber_grad(g: Array, d: Array, delta: float) -> Array:
    return _huber_grad(g, d, delta)


def smooth_l1(d: Array, beta: float) -> Array:
    return _smooth_l1(d, beta)


def smooth_l1_grad(g: Array, d: Array, beta: float) -> Array:
    return _smooth_l1_grad(g, d, beta)


def binary_cross_entropy(x: Array, target: Array) -> Array:
    return _binary_cross_entropy(x, target)


def binary_cross_entropy_grad(g: Array, x: Array, target: Array) -> Array:
    return _binary_cross_entropy_grad(g, x, target)


def binary_cross_entropy_with_logits(x: Array, target: Array, positive: Array | None) -> Array:
    return _with_logits(x, target, 1.0 if positive is None else positive)


def binary_cross_entropy_with_logits_grad(g: Array, x: Array, target: Array, positive: Array | None) -> Array:
    return _with_logits_grad(g, x, target, 1.0 if positive is None else positive)


def quotient(total: Array, count: Array) -> Array:
    return _quotient(total, count)


def quotient_or_zero(total: Array, count: Array) -> Array:
    return _quotient_or_zero(total, count)


OVERRIDES = overrides(
    huber,
    huber_grad,
    smooth_l1,
    smooth_l1_grad,
    binary_cross_entropy,
    binary_cross_entropy_grad,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_grad,
    quotient,
    quotient_or_zero,
)
