"""NumPy's derivative of tanh, piece by piece, and its product with a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, divide, exp, multiply

from ..kernels import elementwise as plain
from .constants import numbers_of
from .namespace import NUMPY
from .pieces import PIECE

if TYPE_CHECKING:
    from ..base import Array


def tanh_slope(x: Array) -> Array:
    """As the plain version, in pieces that stay in the processor's cache."""
    if x.dtype.kind != "f":
        return plain.tanh_slope(NUMPY, x)
    out = numpy.empty(x.shape, x.dtype)
    if x.ndim and x.size <= PIECE:  # without views of a piece, 8 elements take 0.6 of the time
        return _slope(x, out)
    source, target = numpy.ascontiguousarray(x).reshape(-1), out.reshape(-1)
    for i in range(0, target.size, PIECE):
        _slope(source[i : i + PIECE], target[i : i + PIECE])
    return out


def _slope(x: Array, e: Array) -> Array:
    """`tanh_slope` of an array with dimensions, written into ``e``."""
    minus, one, four = numbers_of(x.dtype, -1.0, 1.0, 4.0)
    numpy.copysign(x, minus, e)
    exp(e, e)
    denominator = multiply(e, e)
    divide(e, add(denominator, one, denominator), e)
    multiply(e, e, e)
    return multiply(e, four, e)


def apply_mask(x: Array, mask: Array) -> Array:
    """As the plain version. It multiplies, and replaces products of 0 and infinity or nan only if the sum is nan."""
    with numpy.errstate(invalid="ignore", over="ignore"):
        out = numpy.asarray(x * mask)
        if numpy.isnan(add.reduce(out, axis=None)):
            numpy.copyto(out, 0, where=mask == 0)
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"tanh_slope": tanh_slope, "apply_mask": apply_mask}
