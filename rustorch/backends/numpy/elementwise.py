"""The derivative of tanh in pieces that stay in the processor's cache, and dropout's product with a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from numpy import add, divide, multiply, ndarray

from ..kernels.elementwise import tanh_slope as plain_tanh_slope

Array = ndarray
#: Elements of a piece.
PIECE = 1 << 15


def tanh_slope(x: Array) -> Array:
    if x.dtype.kind != "f":
        return plain_tanh_slope(numpy, x)
    out = numpy.empty(x.shape, x.dtype)
    flat, rows = numpy.ascontiguousarray(x).reshape(-1), out.reshape(-1)
    for i in range(0, rows.size, PIECE):
        e = rows[i : i + PIECE]
        numpy.copysign(flat[i : i + PIECE], -1, e)
        numpy.exp(e, e)
        bottom = multiply(e, e)
        divide(e, add(bottom, 1, bottom), e)
        multiply(multiply(e, e, e), 4, e)
    return out


def apply_mask(x: Array, mask: Array) -> Array:
    """Multiply, and look for products of 0 and infinity or nan only if a sum says that there may be some."""
    with numpy.errstate(invalid="ignore", over="ignore"):
        out = numpy.asarray(x * mask)
        if numpy.isnan(add.reduce(out, axis=None)):
            numpy.copyto(out, 0, where=mask == 0)
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"tanh_slope": tanh_slope, "apply_mask": apply_mask}
