"""The derivative of tanh in pieces that stay in the processor's cache."""

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


OVERRIDES: dict[str, Callable[..., Any]] = {"tanh_slope": tanh_slope}
