"""Activations and their derivatives: one launch each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, signature
from typing import Any

import cupy

from ..base import Array
from ..fusing import Loop
from ..kernels import activation as plain
from .fusing import CUDA
from .launch import overrides

_relu = cupy.ElementwiseKernel("T x", "T out", "out = x <= (T)0 ? (T)0 : x", "rustorch_relu")
_relu_grad = cupy.ElementwiseKernel("T g, T y", "T out", "out = y <= (T)0 ? (T)0 : g", "rustorch_relu_grad")
_sigmoid = cupy.ElementwiseKernel(
    "T x", "T out", "T e = exp(-fabs(x)); out = (x >= (T)0 ? (T)1 : e) / ((T)1 + e)", "rustorch_sigmoid"
)
_erf = cupy.ElementwiseKernel("T x", "T out", "out = erf(x)", "rustorch_erf")


def relu(x: Array) -> Array:
    return _relu(x)


def relu_grad(g: Array, out: Array) -> Array:
    return _relu_grad(g, out)


def sigmoid(x: Array) -> Array:
    return _sigmoid(x)


def erf(x: Array) -> Array:
    return _erf(x)


# -- traced from the plain versions ------------------------------------------------------------------------------------
@cache
def _compiled(function: Callable[..., Any], arrays: tuple[str, ...], numbers: int) -> tuple[Loop, Any]:
    """The loop of a plain function, and its kernel. The kernel takes the arrays and the loop's constants."""
    loop = Loop(lambda xp, *args: (function(xp, *args),), arrays, [1.0] * numbers)
    inputs = ", ".join([f"T {name}" for name in [*arrays, *[f"c{i}" for i in range(len(loop.constants))]]])
    body = "\n".join([*loop.body(CUDA), f"result_ = {loop.results(CUDA)[0]};"])
    return loop, cupy.ElementwiseKernel(inputs, "T result_", body, f"rustorch_{function.__name__}")


def _traced(function: Callable[..., Any], numbers: int = 0) -> Callable[..., Array]:
    """A kernel that computes what the plain version does, in one launch. Its last ``numbers`` arguments are numbers."""
    form = signature(function)
    parameters = [p.replace(kind=Parameter.POSITIONAL_ONLY) for p in list(form.parameters.values())[1:]]
    count = len(parameters) - numbers
    arrays = tuple([p.name for p in parameters[:count]])

    def kernel(*args: Any) -> Array:
        loop, launch = _compiled(function, arrays, numbers)
        return launch(*args[:count], *loop.values(args[count:]))

    kernel.__name__ = function.__name__
    kernel.__signature__ = form.replace(parameters=parameters)  # type: ignore[attr-defined]
    return kernel


gaussian = _traced(plain.gaussian, numbers=1)
gelu = _traced(plain.gelu)
gelu_grad = _traced(plain.gelu_grad)
gelu_tanh = _traced(plain.gelu_tanh)
gelu_tanh_gate_grad = _traced(plain.gelu_tanh_gate_grad)
gelu_tanh_grad = _traced(plain.gelu_tanh_grad)
mish = _traced(plain.mish)
mish_grad = _traced(plain.mish_grad)
prelu_slope = _traced(plain.prelu_slope)
sigmoid_grad = _traced(plain.sigmoid_grad)
silu = _traced(plain.silu)
silu_grad = _traced(plain.silu_grad)
tanh_softplus = _traced(plain.tanh_softplus)
tanh_softplus_grad = _traced(plain.tanh_softplus_grad)
tanhshrink = _traced(plain.tanhshrink)

OVERRIDES = overrides(
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    erf,
    gaussian,
    gelu,
    gelu_grad,
    gelu_tanh,
    gelu_tanh_gate_grad,
    gelu_tanh_grad,
    mish,
    mish_grad,
    prelu_slope,
    silu,
    silu_grad,
    tanh_softplus,
    tanh_softplus_grad,
    tanhshrink,
)
