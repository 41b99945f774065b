"""Pooling through NumPy's strided views: a window's value number k, for all windows at once, is one slice of
the input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy
from numpy import add, ndarray

from ..kernels import pooling as plain
from ..kernels.pooling import Windows
from ..threads import BLOCK, PASS, in_blocks
from .constants import BITS

Array = ndarray
#: Sums along an axis are faster as one slice after the other up to this many.
_SLICES = 8


def _xp() -> Any:
    """NumPy with all kernels, for the plain versions. (It is not there yet when this file is read.)"""
    from ..registry import get

    return get("cpu").xp


@lru_cache(maxsize=256)
def _keys(windows: Windows) -> tuple[tuple[Any, ...], ...]:
    """For every value of the windows, in order: where in the padded input it is."""
    along = [
        [
            slice(start, start + (w.out - 1) * w.stride + 1, w.stride)
            for start in range(0, w.kernel * w.dilation, w.dilation)
        ]
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


def _in_blocks(rows: Array, windows: Windows, work: Callable[[int, int], None]) -> None:
    """Of the inputs, (n, size1, size2, ...), as many at a time as the cache holds."""
    in_blocks(len(rows), 4 * PASS * rows.size, max(BLOCK // max(prod(_padded_sizes(windows)), 1), 1), work)


def _flat(x: Array, windows: Windows) -> Array:
    """The axes before those of the windows as one."""
    lead = x.ndim - len(windows)
    return x.reshape(prod(x.shape[:lead]), *x.shape[lead:])


def _larger(one: tuple[Array, Any], two: tuple[Array, Any]) -> tuple[Array, Any]:
    """Of two values of every window, each with its number, the larger one; of equal ones the first."""
    (a, i), (b, j) = one, two
    ahead = numpy.greater(b, a).view(numpy.uint8)
    numpy.multiply(ahead, numpy.subtract(j, i), ahead)  # a difference below 0 wraps around, and the sum wraps back
    return numpy.maximum(a, b), add(ahead, i, ahead)


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array]:
    if prod([window.kernel for window in windows]) > 256 or not all(window.stride for window in windows):
        return plain.max_pool(_xp(), x, windows)
    rows, shape = _flat(x, windows), (*x.shape[: x.ndim - len(windows)], *[window.out for window in windows])
    best, which = numpy.empty(shape, x.dtype), numpy.empty(shape, numpy.uint8)
    values, numbers = _flat(best, windows), _flat(which, windows)
    first: Any = 0
    if any(window.padding for window in windows):
        first = plain._first(_xp(), numpy.zeros(0, numpy.int32), windows).astype(numpy.uint8)

    def work(start: int, stop: int) -> None:
        padded = _padded(rows[start:stop], windows, -numpy.inf)
        left: list[tuple[Array, Any]] = [(padded[(..., *key)], numpy.uint8(k)) for k, key in enumerate(_keys(windows))]
        while len(left) > 1:  # a tournament: what takes time are the strides, and so each value is looked at only once
            odd = left[len(left) & ~1 :]
            left = [_larger(left[i], left[i + 1]) for i in range(0, len(left) - 1, 2)] + odd
        values[start:stop], number = left[0]
        numpy.maximum(
            number, first, out=numbers[start:stop]
        )  # a window of nothing but -inf: its first one is no padding

    _in_blocks(rows, windows, work)
    if best.size and numpy.isnan(numpy.maximum.reduce(best, axis=None)):  # nan is not greater, and yet it is the one
        return plain.max_pool(_xp(), x, windows)
    return best, which


def _mask(keep: Array, bits: Any) -> Array:
    """Integers with all bits where ``keep``: what they mask is exact for inf and nan, where a product with 0 is not."""
    mask = keep.view(numpy.int8).astype(bits)
    return numpy.negative(mask, mask)


def max_pool_grad(g: Array, which: Array, windows: Windows) -> Array:
    if not all(window.stride for window in windows):
        return plain.max_pool_grad(_xp(), g, which, windows)
    lead = g.shape[: g.ndim - len(windows)]
    sizes = _padded_sizes(windows)
    apart = all(window.stride >= (window.kernel - 1) * window.dilation + 1 for window in windows)
    full = [window.tiles and window.out * window.kernel == window.size for window in windows]
    out = (numpy.empty if apart and all(full) else numpy.zeros)((*lead, *sizes), g.dtype)
    gs, numbers, target = _flat(numpy.ascontiguousarray(g), windows), _flat(which, windows), _flat(out, windows)
    bits = BITS.get(g.itemsize)

    def work(start: int, stop: int) -> None:
        for k, key in enumerate(_keys(windows)):
            view, keep, part = target[start:stop][(..., *key)], numbers[start:stop] == k, gs[start:stop]
            if bits is None:
                part = numpy.where(keep, part, part.dtype.type(0))
            elif apart:
                numpy.bitwise_and(part.view(bits), _mask(keep, bits), view.view(bits))
                continue
            else:
                mask = _mask(keep, bits)
                part = numpy.bitwise_and(part.view(bits), mask, mask).view(g.dtype)
            if apart:
                view[...] = part
            else:
                add(view, part, view)

    def in_pairs(start: int, stop: int) -> None:
        part, pairs = numbers[start:stop], target[start:stop].view(numpy.uint64)
        wide = gs[start:stop].view(numpy.uint32).astype(numpy.uint64)
        numpy.left_shift(wide, numpy.multiply(part & numpy.uint8(1), numpy.uint8(32)).astype(numpy.uint64), wide)
        part = part >> numpy.uint8(1)
        for k, key in enumerate(_keys(windows[:-1])):
            numpy.bitwise_and(wide, _mask(part == k, numpy.int64).view(numpy.uint64), pairs[(..., *key, slice(None))])

    # two neighbours of 32 bits as one integer: one of them is the gradient, the other 0
    paired = apart and full[-1] and windows[-1].kernel == 2 and g.itemsize == 4 and sys.byteorder == "little"
    _in_blocks(target, windows, in_pairs if paired else work)
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
            padded = numpy.zeros(
                (*x.shape[:axis], window.padding + window.size + window.after, *x.shape[axis + 1 :]), x.dtype
            )
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
