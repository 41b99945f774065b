"""Activations, their derivatives, and dropout: one launch each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature
from typing import Any

import cupy

from ..kernels import KERNELS
from .fusing import Loop
from .launch import Array, overrides

_relu = cupy.ElementwiseKernel("T x", "T out", "out = x <= (T)0 ? (T)0 : x", "rustorch_relu")
_kept = cupy.ElementwiseKernel("T x, T mask", "T out", "out = mask == (T)0 ? (T)0 : x * mask", "rustorch_kept")
_relu_grad = cupy.ElementwiseKernel("T g, T y", "T out", "out = y <= (T)0 ? (T)0 : g", "rustorch_relu_grad")
_sigmoid = cupy.ElementwiseKernel(
    "T x", "T out", "T e = exp(-fabs(x)); out = (x >= (T)0 ? (T)1 : e) / ((T)1 + e)", "rustorch_sigmoid"
)
_erf = cupy.ElementwiseKernel("T x", "T out", "out = erf(x)", "rustorch_erf")


def relu(x: Array) -> Array:
    return _relu(x)


def apply_mask(x: Array, mask: Array) -> Array:
    return _kept(x, mask)


def relu_grad(g: Array, out: Array) -> Array:
    return _relu_grad(g, out)


def sigmoid(x: Array) -> Array:
    return _sigmoid(x)


def erf(x: Array) -> Array:
    return _erf(x)


#: The others are their plain versions, written down as a loop each: what they take.
_SMOOTH: dict[str, tuple[str, ...]] = {
    "gaussian": ("x", "rate"),
    "gelu": ("x",),
    "gelu_grad": ("g", "x", "out_of_gelu"),
    "gelu_tanh": ("x",),
    "gelu_tanh_gate_grad": ("g", "x"),
    "gelu_tanh_grad": ("g", "x"),
    "mish": ("x",),
    "mish_grad": ("g", "x"),
    "prelu_slope": ("x", "weight"),
    "sigmoid_grad": ("g", "x"),
    "silu": ("x",),
    "silu_grad": ("g", "x"),
    "tanh_softplus": ("x",),
    "tanh_softplus_grad": ("g", "x"),
    "tanhshrink": ("x",),
}


@cache
def _compiled(name: str) -> tuple[Loop, Any]:
    plain = KERNELS[name]
    arrays = [p for p in _SMOOTH[name] if p != "rate"]
    loop = Loop(lambda xp, *given: (plain(xp, *given),), arrays, [1.0] * (len(_SMOOTH[name]) - len(arrays)))
    given = ", ".join([f"T {p}" for p in [*arrays, *[f"c{i}" for i in range(len(loop.constants))]]])
    return loop, cupy.ElementwiseKernel(
        given, "T out", "\n".join([*loop.lines, f"out = {loop.results[0]};"]), f"rustorch_{name}"
    )


def _smooth(name: str) -> Callable[..., Array]:
    parameters = _SMOOTH[name]
    arrays = len(parameters) - ("rate" in parameters)

    def kernel(*args: Any) -> Array:
        loop, launched = _compiled(name)
        return launched(*args[:arrays], *loop.values(args[arrays:]))

    kernel.__name__ = name
    kernel.__signature__ = Signature([Parameter(p, Parameter.POSITIONAL_ONLY) for p in parameters])  # type: ignore[attr-defined]
    return kernel


OVERRIDES = overrides(apply_mask, relu, relu_grad, sigmoid, erf, *map(_smooth, _SMOOTH))
