"""NumPy's matrix products: by BLAS, or by rustorch's threads between convolutions that run in them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, ndarray

from ..threads import LEAST, in_use, spread

if TYPE_CHECKING:
    from ..base import Array


def _product(a: Array, b: Array) -> Array:
    """The product of two matrices. Between convolutions that run in threads, these threads compute it: BLAS's own
    threads would stay awake for a while after their work, and slow down the next convolution.
    """
    if not in_use():
        return a.dot(b)
    (rows, inner), columns = a.shape, b.shape[1]
    if rows * inner * columns < LEAST or b.shape[0] != inner:
        return a.dot(b)
    out = numpy.empty((rows, columns), numpy.result_type(a, b))

    def work(start: int, stop: int) -> None:
        if rows >= columns:
            numpy.matmul(a[start:stop], b, out[start:stop])
        else:
            numpy.matmul(a, b[:, start:stop], out[:, start:stop])

    spread(rows if rows >= columns else columns, rows * inner * columns, work, mark_in_use=False)
    return out


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """As the plain version, with the bias added in place."""
    dimensions, size = x.ndim, weight.size
    if dimensions < 2:
        out = x.dot(weight.T)
    elif dimensions > 2:
        out = matmul(x, weight.T)
    elif size > 1 << 12 and 1 < len(x) <= 32 and size >= len(x) << 12 and size * len(x) > 1 << 20:
        # few rows and a large weight: OpenBLAS takes half the time if the weight comes first
        out = numpy.ascontiguousarray(weight.dot(x.T).T)
    else:
        out = _product(x, weight.T)
    if bias is None:
        return out
    if bias.dtype is not out.dtype or type(out) is not ndarray:
        return out + bias
    return add(out, bias, out)


def linear_grad_weight(g: Array, x: Array) -> Array:
    """As the plain version."""
    if g.ndim == 2:
        return _product(g.T, x)
    if g.ndim == 1:
        return numpy.multiply.outer(g, x)
    rows = prod(g.shape[:-1])
    return _product(g.reshape(rows, g.shape[-1]).T, x.reshape(rows, x.shape[-1]))


def matmul(x1: Array, x2: Array, /) -> Array:
    """The standard's matmul. For two matrices, ``dot`` starts in half the time. A stack of matrices times one matrix is
    one product of all their rows.
    """
    if x2.ndim == 2:
        if x1.ndim == 2:
            return _product(x1, x2)
        if x1.ndim > 2:
            rows = x1.reshape(prod(x1.shape[:-1]), x1.shape[-1])
            return _product(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])
    return numpy.matmul(x1, x2)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (linear, linear_grad_weight, matmul)
}
