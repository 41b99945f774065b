"""NumPy's linear layers: matrix products by BLAS, shared out among threads between convolutions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy
from numpy import add, ndarray

from ..threads import LEAST, awake, spread

Array = ndarray


def _product(a: Array, b: Array) -> Array:
    """Of two matrices. Between convolutions that run in threads, so does this: BLAS's own threads stay awake for a
    while after their work, and would be in the way of the next convolution.
    """
    (rows, inner), columns = a.shape, b.shape[1]
    if not awake() or rows * inner * columns < LEAST or b.shape[0] != inner:
        return a.dot(b)
    out = numpy.empty((rows, columns), numpy.result_type(a, b))

    def work(start: int, stop: int) -> None:
        if rows >= columns:
            numpy.matmul(a[start:stop], b, out[start:stop])
        else:
            numpy.matmul(a, b[:, start:stop], out[:, start:stop])

    spread(rows if rows >= columns else columns, rows * inner * columns, work, keep_awake=False)
    return out


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    if x.ndim < 2:
        out = x.dot(weight.T)
    elif x.ndim == 2 and 1 < len(x) <= 32 and weight.size >= len(x) << 12 and weight.size * len(x) > 1 << 20:
        # few rows times many numbers: with the weight first, OpenBLAS takes half of the time
        out = numpy.ascontiguousarray(weight.dot(x.T).T)
    else:
        out = matmul(x, weight.T)
    if bias is None:
        return out
    if bias.dtype is not out.dtype or type(out) is not ndarray:
        return out + bias
    return add(out, bias, out)


def linear_grad_weight(g: Array, x: Array) -> Array:
    if g.ndim == 2:
        return _product(g.T, x)
    if g.ndim == 1:
        return numpy.multiply.outer(g, x)
    rows = prod(g.shape[:-1])
    return _product(g.reshape(rows, g.shape[-1]).T, x.reshape(rows, x.shape[-1]))


def matmul(x1: Array, x2: Array, /) -> Array:
    """Of two matrices: ``dot`` is on its way in half of the time. Many matrices times one are one product, of all their
    rows.
    """
    if x2.ndim == 2:
        if x1.ndim == 2:
            return _product(x1, x2)
        if x1.ndim > 2:
            rows = x1.reshape(prod(x1.shape[:-1]), x1.shape[-1])
            return _product(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])
    return numpy.matmul(x1, x2)


OVERRIDES: dict[str, Callable] = {function.__name__: function for function in (linear, linear_grad_weight, matmul)}
