"""Smooth activations, in pieces that stay in the processor's cache: the plain versions, but for the error function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy
from numpy import add, divide, multiply, ndarray

from ..kernels import activation as plain_versions
from ..kernels import layers
from ..kernels.activation import BEYOND, BREAK, LAST, NEAR, SHORT_TAIL

Array = ndarray
#: Elements of a piece: a handful of temporaries of this size fit the second-level cache; with smaller ones, the calls take longer.
PIECE = 1 << 15

#: As NEAR, for all x of float32 in [-4, 4], where erf reaches 1. Source: Eigen's (and XLA's) rational minimax approximation.
SINGLE = (
    (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
     -2.95459980854025e-03, -1.60960333262415e-02),
    (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02),
)  # fmt: skip


def _polynomial(x: Array, row: tuple[float, ...]) -> Array:
    out = multiply(x, row[0])
    for a in row[1:-1]:
        add(out, a, out)
        multiply(out, x, out)
    return add(out, row[-1], out)


def _ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    top = _polynomial(x, coefficients[0])
    return divide(top, _polynomial(x, coefficients[1]), top)


def _erf(x: Array) -> Array:
    """Of one piece, in float32 or float64."""
    if x.itemsize == 4:
        x = numpy.clip(x, -4, 4)
        out = _ratio(x * x, SINGLE)
        return numpy.clip(multiply(out, x, out), -1, 1, out)
    size = numpy.abs(x)
    near = size <= BREAK
    large = numpy.clip(size, BREAK, LAST)
    out = multiply(large, large)
    numpy.exp(numpy.negative(out, out), out)
    multiply(out, _ratio(large, BEYOND), out)
    numpy.copysign(numpy.subtract(1, out, out), x, out)
    small = x[near]
    out[near] = small * _ratio(small * small, NEAR)
    return out


def _clip(x: Array, low: float, high: float | None) -> Array:
    """numpy.clip, but sooner there."""
    out = numpy.maximum(x, low)
    return out if high is None else numpy.minimum(out, high, out=out)


#: What the plain versions need of a namespace, for real numbers in one dimension.
_XP = SimpleNamespace(
    abs=numpy.abs, clip=_clip, exp=numpy.exp, isdtype=lambda dtype, kind: False, ones_like=numpy.ones_like, round=numpy.rint,
    tanh=numpy.tanh, where=numpy.where, zeros_like=numpy.zeros_like,
)  # fmt: skip


def _in_pieces(function: Callable[..., Array], *given: Array) -> Array:
    """``function`` of flat pieces of arrays of one shape and dtype, put together."""
    shape = given[0].shape
    flat = [x.reshape(-1) for x in given]
    if flat[0].size <= PIECE:
        return function(*flat).reshape(shape)
    out = numpy.empty(flat[0].shape, flat[0].dtype)
    for i in range(0, out.size, PIECE):
        out[i : i + PIECE] = function(*[x[i : i + PIECE] for x in flat])
    return out.reshape(shape)


def _elementwise(name: str, arrays: int) -> Callable[..., Array]:
    """The plain version in pieces: of so many arrays that broadcast, the last of which has the shape of the result, and options."""
    plain = getattr(plain_versions, name)
    bare = partial(plain, _XP)

    def kernel(*args: Any) -> Array:
        x = args[arrays - 1]
        if x.dtype.kind != "f":
            return plain(numpy, *args)
        given = [a if a.shape == x.shape else numpy.broadcast_to(a, x.shape) for a in args[:arrays]]
        options = args[arrays:]
        return _in_pieces(bare if not options else lambda *pieces: bare(*pieces, *options), *given)

    kernel.__name__ = name
    return kernel


def erf(x: Array) -> Array:
    return _in_pieces(_erf, x)


def gelu(x: Array) -> Array:
    return _in_pieces(partial(plain_versions.gelu, _XP, **({"tail": SHORT_TAIL} if x.itemsize == 4 else {})), x)


def _sigmoid(x: Array) -> Array:
    e = numpy.abs(x)
    numpy.exp(numpy.negative(e, e), e)
    bottom = add(e, 1)
    numpy.copyto(e, 1, where=x >= 0)
    return divide(e, bottom, e)


def sigmoid(x: Array) -> Array:
    return layers.sigmoid(numpy, x) if x.dtype.kind == "c" else _in_pieces(_sigmoid, x)


OVERRIDES: dict[str, Callable[..., Any]] = {
    "erf": erf,
    "gelu": gelu,
    "sigmoid": sigmoid,
    **{name: _elementwise(name, 1) for name in ("gaussian", "gelu_tanh", "mish", "silu", "tanh_softplus", "tanhshrink")},
    **{
        name: _elementwise(name, 2)
        for name in ("gelu_tanh_bell", "gelu_tanh_grad", "mish_grad", "sigmoid_grad", "silu_grad", "tanh_softplus_grad")
    },
    "gelu_grad": _elementwise("gelu_grad", 3),
}
