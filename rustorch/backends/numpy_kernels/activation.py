"""The error function and the exact GELU, in pieces that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from numpy import add, divide, multiply, ndarray

from ..kernels.activation import BREAK, DENSITY, FAR, LAST, NEAR, ROOT_HALF

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
    multiply(out, _ratio(large, FAR), out)
    numpy.copysign(numpy.subtract(1, out, out), x, out)
    small = x[near]
    out[near] = small * _ratio(small * small, NEAR)
    return out


def _in_pieces(function: Callable[..., Array], *given: Array) -> Array:
    """``function`` of flat pieces of arrays of one shape and dtype, put together."""
    flat = [numpy.ascontiguousarray(x).reshape(-1) for x in given]
    out = numpy.empty(given[0].shape, given[0].dtype)
    rows = out.reshape(-1)
    for i in range(0, rows.size, PIECE):
        rows[i : i + PIECE] = function(*[x[i : i + PIECE] for x in flat])
    return out


def _gelu(x: Array) -> Array:
    out = _erf(multiply(x, ROOT_HALF))
    multiply(add(out, 1, out), 0.5, out)
    return multiply(out, x, out)


def _gelu_grad(g: Array, x: Array, y: Array) -> Array:
    out = multiply(x, x)
    numpy.exp(multiply(out, -0.5, out), out)
    multiply(multiply(out, DENSITY, out), x, out)
    zero = x == 0
    if zero.any():
        add(out, numpy.where(zero, x.dtype.type(0.5), y / numpy.where(zero, x.dtype.type(1), x)), out)
    else:
        add(out, y / x, out)
    return multiply(out, g, out)


def erf(x: Array) -> Array:
    return _in_pieces(_erf, x)


def gelu(x: Array) -> Array:
    return _in_pieces(_gelu, x)


def gelu_grad(g: Array, x: Array, out: Array) -> Array:
    return _in_pieces(_gelu_grad, numpy.broadcast_to(g, x.shape), x, out)


OVERRIDES: dict[str, Callable[..., Any]] = {function.__name__: function for function in (erf, gelu, gelu_grad)}
