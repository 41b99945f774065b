"""NumPy's versions of functions of the standard: the same results in less time, above all for small arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, maximum, ndarray

from ..numba.availability import always, wanted
from ..threads import with_one_blas_thread
from .constants import cached_ones

if TYPE_CHECKING:
    from ..base import Array

#: Elements up to which the start of a call takes longer than its work.
FEW = 1 << 10


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return x.astype(dtype, copy=copy)


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """`numpy.reshape` has ``copy`` since NumPy 2.1."""
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
    """`numpy.broadcast_to` makes an iterator object; a scalar, the usual case in backward, needs none."""
    if type(x) is ndarray and x.ndim == 0:
        if prod(shape) <= FEW:  # a copy takes half the time of a view
            copy = numpy.empty(shape, x.dtype)
            copy[...] = x
            return copy
        out: Array = ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        flags = out.flags
        if flags.writeable:  # all elements are one place in memory
            flags.writeable = False
        return out
    return numpy.broadcast_to(x, shape)


def sign(x: Array, /) -> Array:
    """-1, 0 or 1 with the sign of ``x``. Of a complex number it is ``x / abs(x)``, or 0 at 0, without a warning and
    without overflow.
    """
    if x.dtype.kind != "c":
        return numpy.sign(x)
    out = numpy.array(x)
    _divide_parts(out, numpy.maximum(numpy.abs(x.real), numpy.abs(x.imag)))
    _divide_parts(out, numpy.abs(out))
    return out


def _divide_parts(x: Array, sizes: Array) -> None:
    """Divide complex numbers by sizes, or by 1 where the size is 0, in place. Both parts are divided by themselves: a
    division of complex numbers would square the size.
    """
    sizes = numpy.where(sizes == 0, sizes.dtype.type(1), sizes)
    x.real /= sizes
    x.imag /= sizes


# -- reductions: on a small array, numpy.sum and the like spend most of their time before the ufunc --------------------
_FLOAT32: Any = numpy.dtype("float32")
_FLOAT64: Any = numpy.dtype("float64")
_BLAS = {_FLOAT32, _FLOAT64}
_reduce: Callable[..., Any] = add.reduce


#: Elements from which a compiled sum is asked for: `numba.statistical`.
_MANY = 0 if always() else 1 << 13


@cache
def _compiled_sum() -> Callable[..., Any] | None:
    """The compiled sum, or None without Numba. It stands here and not among the overrides, because small sums are
    frequent: a function around this one would cost more than the check of a size.
    """
    if not wanted():
        return None
    from ..numba.statistical import sum as compiled

    return compiled


def sum(x: Array, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Array:
    if x.size >= _MANY and (compiled := _compiled_sum()) is not None:
        sums: Array = compiled(x, axis=axis, dtype=dtype, keepdims=keepdims)
        if sums is not NotImplemented:
            return sums
    if axis is None:
        if not keepdims and dtype is None and ((own := x.dtype) is _FLOAT32 or own is _FLOAT64):
            out: Array = numpy.empty((), own)
            if x.ndim == 1 and x.size <= FEW:  # few numbers may be added in any order, and BLAS starts sooner
                x.dot(cached_ones(x.size, own), out)
                return out
            return _reduce(x, None, None, out)  # a 0-d array; without ``out``, NumPy would make a scalar
    elif axis == (0,) and x.ndim == 2 and dtype is None and not keepdims and x.dtype in _BLAS:
        return cached_ones(x.shape[0], x.dtype).dot(x)  # a bias's gradient: BLAS takes a half to a third of the time
    elif x.size >= 1 << 16 and type(axis) is tuple and dtype is None and not keepdims and _per_channel(x, axis):
        return _channels(x)
    return _reduce(x, axis, dtype, None, keepdims)


def _per_channel(x: Array, axis: tuple[int, ...]) -> bool:
    """Whether a sum over these axes leaves one number for each channel of (n, channels, ...)."""
    return x.ndim > 2 and axis == (0, *range(2, x.ndim)) and x.dtype in _BLAS and x.flags.c_contiguous


@with_one_blas_thread
def _channels(x: Array) -> Array:
    """The gradient of a convolution's bias, in a third of the time of ``add.reduce``."""
    n, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
    sums = x.reshape(n * channels, size).dot(cached_ones(size, x.dtype))
    return cached_ones(n, x.dtype).dot(sums.reshape(n, channels))


def mean(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    """As `numpy.mean`, without its warning about empty arrays, whose mean is nan."""
    total = add.reduce(x, axis=axis, keepdims=keepdims)
    count = x.size if axis is None else prod([x.shape[i] for i in (axis if type(axis) is tuple else (axis,))])
    return total / count if count else total * numpy.nan


def max(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    return maximum.reduce(x, axis=axis, keepdims=keepdims)


def min(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    return numpy.minimum.reduce(x, axis=axis, keepdims=keepdims)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (astype, reshape, broadcast_to, sign, sum, mean, max, min)
}
