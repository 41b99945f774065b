"""NumPy's versions of functions of the standard: the same results with fewer Python calls."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy
from numpy import add, maximum, ndarray

from ..threads import alone
from .constants import cached_ones

Array = ndarray


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return x.astype(dtype, copy=copy)


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """numpy.reshape knows ``copy`` since 2.1 only."""
    if copy is None:
        return x.reshape(shape)
    if copy:
        return numpy.array(x, copy=True).reshape(shape)
    view = x.view()
    try:
        view.shape = shape
    except AttributeError as error:
        raise ValueError(
            f"reshape: copy=False, but {x.shape} to {shape} needs a copy: the array is not contiguous"
        ) from error
    return view


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """numpy.broadcast_to goes through an iterator object; a scalar, the usual case in backward, needs none."""
    if type(x) is ndarray and x.ndim == 0:
        out = ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        flags = out.flags
        if flags.writeable:  # one place in memory, many in the array
            flags.writeable = False
        return out
    return numpy.broadcast_to(x, shape)


# -- reductions: numpy.sum and its like spend most of a small call on the way to the ufunc -----------------------------
def sum(x: Array, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Array:
    if axis is None:
        if not keepdims and dtype is None and ((of := x.dtype) is _FLOAT32 or of is _FLOAT64):
            out: Any = numpy.empty((), of)
            return add.reduce(x, None, None, out)  # an array, with no scalar on the way
    elif axis == (0,) and x.ndim == 2 and dtype is None and not keepdims and x.dtype in _BLAS:
        return cached_ones(x.shape[0], x.dtype).dot(x)  # a bias's gradient: BLAS adds rows two to three times as fast
    elif x.size >= 1 << 16 and type(axis) is tuple and dtype is None and not keepdims and _per_channel(x, axis):
        return _channels(x)
    return add.reduce(x, axis, dtype, None, keepdims)  # type: ignore[call-overload]


_FLOAT32: Any = numpy.dtype("float32")
_FLOAT64: Any = numpy.dtype("float64")
_BLAS = {_FLOAT32, _FLOAT64}


def _per_channel(x: Array, axis: tuple[int, ...]) -> bool:
    return x.ndim > 2 and axis == (0, *range(2, x.ndim)) and x.dtype in _BLAS and x.flags.c_contiguous


@alone
def _channels(x: Array) -> Array:
    """The gradient of a convolution's bias, in a third of ``add.reduce``'s time."""
    n, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
    sums = x.reshape(n * channels, size).dot(cached_ones(size, x.dtype))
    return cached_ones(n, x.dtype).dot(sums.reshape(n, channels))


def mean(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    total = add.reduce(x, axis=axis, keepdims=keepdims)
    count = x.size if axis is None else prod([x.shape[i] for i in (axis if type(axis) is tuple else (axis,))])
    return total / count if count else total * numpy.nan  # numpy.mean warns of nothing


def max(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    return maximum.reduce(x, axis=axis, keepdims=keepdims)


def min(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    return numpy.minimum.reduce(x, axis=axis, keepdims=keepdims)


def sign(x: Array, /) -> Array:
    """-1, 0 or 1 with the sign of ``x``; for complex numbers ``x / abs(x)``, and 0 at 0, with no warning and no
    overflow.
    """
    if x.dtype.kind != "c":
        return numpy.sign(x)
    out = numpy.array(x)
    largest = numpy.maximum(numpy.abs(x.real), numpy.abs(x.imag))
    for size in (lambda: largest, lambda: numpy.abs(out)):  # part by part: to divide a complex number squares
        unit = size()
        unit = numpy.where(unit == 0, unit.dtype.type(1), unit)
        out.real /= unit
        out.imag /= unit
    return out


OVERRIDES: dict[str, Callable] = {
    function.__name__: function for function in (astype, reshape, broadcast_to, sum, mean, max, min, sign)
}
