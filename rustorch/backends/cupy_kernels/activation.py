"""Activations and their derivatives: one launch each."""

from __future__ import annotations

import cupy

from .launch import Array, overrides

_relu = cupy.ElementwiseKernel("T x", "T out", "out = x <= (T)0 ? (T)0 : x", "rustorch_relu")
_relu_grad = cupy.ElementwiseKernel("T g, T y", "T out", "out = y <= (T)0 ? (T)0 : g", "rustorch_relu_grad")
_sigmoid = cupy.ElementwiseKernel(
    "T x", "T out", "T e = exp(-fabs(x)); out = (x >= (T)0 ? (T)1 : e) / ((T)1 + e)", "rustorch_sigmoid"
)
_erf = cupy.ElementwiseKernel("T x", "T out", "out = erf(x)", "rustorch_erf")
_gelu = cupy.ElementwiseKernel(
    "T x", "T out", "out = x * ((T)0.5 + (T)0.5 * erf(x * (T)0.70710678118654752440))", "rustorch_gelu"
)
_gelu_grad = cupy.ElementwiseKernel(
    "T g, T x, T y",
    "T out",
    """
    T chance = fabs(x) < (T)1e-30 ? (T)0.5 : y / x;  // near 0, y may be too small for a float
    out = g * (chance + x * (T)0.39894228040143267794 * exp((T)-0.5 * x * x));
    """,
    "rustorch_gelu_grad",
)


def relu(x: Array) -> Array:
    return _relu(x)


def relu_grad(g: Array, out: Array) -> Array:
    return _relu_grad(g, out)


def sigmoid(x: Array) -> Array:
    return _sigmoid(x)


def erf(x: Array) -> Array:
    return _erf(x)


def gelu(x: Array) -> Array:
    return _gelu(x)


def gelu_grad(g: Array, x: Array, out: Array) -> Array:
    return _gelu_grad(g, x, out)


OVERRIDES = overrides(relu, relu_grad, sigmoid, erf, gelu, gelu_grad)
