"""Pooling through NumPy's strided views: a window's value number k, for all windows at once, is one slice of the input."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy
from numpy import add, ndarray

from ..kernels import pooling as plain
from ..kernels.pooling import Windows
from .core import _BITS

Array = ndarray
#: Sums along an axis are faster as one slice after the other up to this many.
_SLICES = 8


def _xp() -> Any:
    """NumPy with all kernels, for the plain versions. (It is not there yet when this file is read.)"""
    from .. import get

    return get("cpu").xp


@lru_cache(maxsize=256)
def _keys(windows: Windows) -> tuple[tuple[Any, ...], ...]:
    """For every value of the windows, in order: where in the padded input it is."""
    along = [
        [slice(start, start + (w.out - 1) * w.stride + 1, w.stride) for start in range(0, w.kernel * w.dilation, w.dilation)]
        for w in windows
    ]
    return tuple(product(*along))


def _padded_sizes(windows: Windows) -> tuple[int, ...]:
    return tuple([window.padding + window.size + window.after for window in windows])


def _inside(windows: Windows) -> tuple[Any, ...]:
    """The input in its padded copy."""
    return (..., *[slice(window.padding, window.padding + window.size) for window in windows])


def _padded(x: Array, windows: Windows, fill: float) -> Array:
    sizes = _padded_sizes(windows)
    lead = x.ndim - len(windows)
    if sizes == x.shape[lead:]:
        return x
    out = numpy.full((*x.shape[:lead], *sizes), fill, x.dtype)
    out[_inside(windows)] = x
    return out


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array]:
    if prod([window.kernel for window in windows]) > 256 or not all(window.stride for window in windows):
        return plain.max_pool(_xp(), x, windows)
    padded = _padded(x, windows, -numpy.inf)
    first, *others = [padded[(..., *key)] for key in _keys(windows)]
    best = first.copy()
    which = numpy.zeros(best.shape, numpy.uint8)
    if any(window.padding for window in windows):
        which[...] = plain._first(_xp(), numpy.zeros(0, numpy.int32), windows)
    better, ahead = numpy.empty(best.shape, bool), numpy.empty(best.shape, numpy.uint8)
    for k, value in enumerate(others, 1):
        numpy.greater(value, best, better)
        numpy.maximum(best, value, out=best)
        # the last that was better is the one: its number is the largest
        numpy.multiply(better.view(numpy.uint8), numpy.uint8(k), ahead)
        numpy.maximum(which, ahead, out=which)
    if best.size and numpy.isnan(numpy.maximum.reduce(best, axis=None)):  # nan is not greater, and yet it is the one
        return plain.max_pool(_xp(), x, windows)
    return best, which


def _masked(g: Array, keep: Array) -> Array:
    """``g`` where ``keep``, else 0: bits are masked, which is exact for inf and nan, where a product with 0 is not."""
    bits = _BITS.get(g.itemsize)
    if bits is None or not g.flags.c_contiguous:
        return numpy.where(keep, g, g.dtype.type(0))
    mask = keep.view(numpy.int8).astype(bits)
    numpy.negative(mask, mask)
    return numpy.bitwise_and(g.view(bits), mask, mask).view(g.dtype)


def max_pool_grad(g: Array, which: Array, windows: Windows) -> Array:
    if not all(window.stride for window in windows):
        return plain.max_pool_grad(_xp(), g, which, windows)
    lead = g.shape[: g.ndim - len(windows)]
    sizes = _padded_sizes(windows)
    apart = all(window.stride >= (window.kernel - 1) * window.dilation + 1 for window in windows)
    full = apart and all(window.tiles and window.out * window.kernel == window.size for window in windows)
    out = (numpy.empty if full else numpy.zeros)((*lead, *sizes), g.dtype)
    for k, key in enumerate(_keys(windows)):
        part = _masked(g, which == k)
        if apart:
            out[(..., *key)] = part
        else:
            view = out[(..., *key)]
            add(view, part, view)
    return out if sizes == tuple([window.size for window in windows]) else out[_inside(windows)]


def avg_pool(x: Array, windows: Windows, divisor: float) -> Array:
    lead = x.ndim - len(windows)
    for i, window in enumerate(windows):
        axis = lead + i
        if window.tiles and window.kernel > _SLICES:
            x = x[(slice(None),) * axis + (slice(0, window.out * window.kernel),)]
            x = add.reduce(x.reshape(*x.shape[:axis], window.out, window.kernel, *x.shape[axis + 1 :]), axis=axis + 1)
            continue
        if window.padding or window.after:
            padded = numpy.zeros((*x.shape[:axis], window.padding + window.size + window.after, *x.shape[axis + 1 :]), x.dtype)
            padded[(slice(None),) * axis + (slice(window.padding, window.padding + window.size),)] = x
            x = padded
        parts = [x[(slice(None),) * axis + key] for key in _keys((window,))]
        total = add(parts[0], parts[1]) if len(parts) > 1 else parts[0]
        for part in parts[2:]:
            add(total, part, total)
        x = total
    return x / divisor


def avg_pool_grad(g: Array, windows: Windows, divisor: float) -> Array:
    lead = g.ndim - len(windows)
    g = g / divisor
    for i in reversed(range(len(windows))):
        window, axis = windows[i], lead + i
        (size,) = _padded_sizes((window,))
        out = numpy.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
        for key in _keys((window,)):
            view = out[(slice(None),) * axis + key]
            if window.tiles:
                view[...] = g
            else:
                add(view, g, view)
        g = out[(slice(None),) * axis + (slice(window.padding, window.padding + window.size),)]
    return g


def max_unpool(values: Array, places: Array, size: int) -> Array:
    out = numpy.zeros((values.shape[0], size), values.dtype)
    out[numpy.arange(values.shape[0])[:, None], places] = values
    return out


OVERRIDES: dict[str, Callable] = {
    function.__name__: function for function in (max_pool, max_pool_grad, avg_pool, avg_pool_grad, max_unpool)
}
