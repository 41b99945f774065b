"""Pooling through NumPy's strided views: a window's value number k, for all windows at once, is one slice of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy
from numpy import add, ndarray

from .. import scatter
from ..kernels import pooling as plain
from ..kernels.pooling import Windows

Array = ndarray
_BITS = {4: numpy.dtype("int32"), 8: numpy.dtype("int64")}
#: Sums along an axis are faster as one slice after the other up to this many.
_SLICES = 8


class _Namespace:
    """NumPy with the kernels that the plain versions call."""

    def __getattr__(self, name: str) -> Callable:
        return getattr(numpy, name)

    scatter_add = staticmethod(scatter.overrides(numpy)["scatter_add"])

    @staticmethod
    def positions(like: Array, n: int) -> Array:
        return numpy.arange(n, dtype=like.dtype)


_xp = _Namespace()


def _keys(windows: Windows) -> Iterator[tuple[slice, ...]]:
    """For every value of the windows, in order: where in the padded input it is."""
    shape = [window.kernel for window in windows]
    for offset in numpy.ndindex(*shape):
        yield tuple(
            slice(k * w.dilation, k * w.dilation + (w.out - 1) * w.stride + 1, w.stride)
            for k, w in zip(offset, windows, strict=True)
        )


def _padded_sizes(windows: Windows) -> tuple[int, ...]:
    return tuple([window.padding + window.size + window.after for window in windows])


def _inside(windows: Windows) -> tuple[slice, ...]:
    """The input in its padded copy."""
    return (..., *[slice(window.padding, window.padding + window.size) for window in windows])  # type: ignore[return-value]


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
        return plain.max_pool(_xp, x, windows)
    given = x
    x = _padded(x, windows, -numpy.inf)
    best = which = better = ahead = None
    for k, key in enumerate(_keys(windows)):
        value = x[(..., *key)]
        if best is None:
            best = value.copy()
            which = numpy.zeros(value.shape, numpy.uint8)
            if any(window.padding for window in windows):
                which[...] = plain._first(_xp, numpy.zeros(0, numpy.int32), windows)
            better, ahead = numpy.empty(value.shape, bool), numpy.empty(value.shape, numpy.uint8)
            continue
        numpy.greater(value, best, better)
        numpy.maximum(best, value, out=best)
        # the last that was better is the one: its number is the largest
        numpy.multiply(better.view(numpy.uint8), numpy.uint8(k), ahead)
        numpy.maximum(which, ahead, out=which)
    if best.size and numpy.isnan(numpy.maximum.reduce(best, axis=None)):  # nan is not greater, and yet it is the one
        return plain.max_pool(_xp, given, windows)
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
        return plain.max_pool_grad(_xp, g, which, windows)
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
