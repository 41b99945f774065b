"""NumPy's Euclidean norm: one pass where the sum of squares is safe, which is known when it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from numpy import add, multiply, ndarray

from ..kernels import linalg as plain

Array = ndarray

#: By dtype, the least sum of squares in which none that was too small to be kept matters.
_LEAST = {
    dtype: float(numpy.finfo(dtype).tiny) / float(numpy.finfo(dtype).eps) ** 2 for dtype in map(numpy.dtype, "efdg")
}


def _xp() -> Any:
    """NumPy with all kernels, for the plain version. (It is not there yet when this file is read.)"""
    from ..registry import get

    return get("cpu").xp


def vector_norm(x: Array, axes: tuple[int, ...], order: float, keepdims: bool) -> Array:
    if order == 2 and x.dtype.kind in "fc":
        with numpy.errstate(over="ignore", under="ignore"):
            squares = multiply(x, x) if x.dtype.kind == "f" else multiply(x.real, x.real) + multiply(x.imag, x.imag)
            total = numpy.asarray(add.reduce(squares, axes, None, None, keepdims))  # type: ignore[call-overload]
        if total.size and total.min() > _LEAST[total.dtype] and total.max() < numpy.inf:
            return numpy.sqrt(total)
    return plain.vector_norm(_xp(), x, axes, order, keepdims)


OVERRIDES: dict[str, Callable] = {"vector_norm": vector_norm}
