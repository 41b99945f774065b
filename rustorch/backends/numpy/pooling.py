"""NumPy's pooling: value number k of all windows is one strided slice of the input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add

from ..kernels import pooling as plain
from ..kernels.pooling import Windows, first_numbers
from ..threads import BLOCK, PASS, in_blocks
from .constants import BITS
from .namespace import full_namespace

if TYPE_CHECKING:
    from ..base import Array

#: Up to this many values in a window, adding slices is faster than a reduction.
_SLICES = 8


@lru_cache(maxsize=256)
def _keys(windows: Windows) -> tuple[tuple[Any, ...], ...]:
    """A key for each value of a window: where in the padded input this value of all windows is."""
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
    """The key of the input in its padded copy."""
    return (..., *[slice(window.padding, window.padding + window.size) for window in windows])


def _padded(x: Array, windows: Windows, fill: float) -> Array:
    """``x`` with its padding of ``fill``; ``x`` itself if there is none."""
    sizes = _padded_sizes(windows)
    lead = x.ndim - len(windows)
    if sizes == x.shape[lead:]:
        return x
    out = numpy.full((*x.shape[:lead], *sizes), fill, x.dtype)
    out[_inside(windows)] = x
    return out


def _in_blocks(rows: Array, windows: Windows, work: Callable[[int, int], None]) -> None:
    """``work(start, stop)`` for as many of the inputs, (n, size1, size2, ...), at a time as fit into the cache."""
    in_blocks(len(rows), 4 * PASS * rows.size, max(BLOCK // max(prod(_padded_sizes(windows)), 1), 1), work)


def _flat(x: Array, windows: Windows) -> Array:
    """``x`` with all axes before those of the windows as one."""
    lead = x.ndim - len(windows)
    return x.reshape(prod(x.shape[:lead]), *x.shape[lead:])


def _larger(one: tuple[Array, Any], two: tuple[Array, Any]) -> tuple[Array, Any]:
    """The larger of two values of every window, with its number; the first one if they are equal."""
    (a, i), (b, j) = one, two
    larger = numpy.greater(b, a).view(numpy.uint8)
    numpy.multiply(larger, numpy.subtract(j, i), larger)  # a negative difference wraps around, and the sum wraps back
    return numpy.maximum(a, b), add(larger, i, larger)


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array]:
    """As the plain version, by a tournament between the values of each window."""
    if prod([window.kernel for window in windows]) > 256 or not all(window.stride for window in windows):
        return plain.max_pool(full_namespace(), x, windows)
    rows, shape = _flat(x, windows), (*x.shape[: x.ndim - len(windows)], *[window.out for window in windows])
    best, which = numpy.empty(shape, x.dtype), numpy.empty(shape, numpy.uint8)
    values, numbers = _flat(best, windows), _flat(which, windows)
    first: Any = 0
    if any(window.padding for window in windows):
        first = first_numbers(full_namespace(), numpy.zeros(0, numpy.int32), windows).astype(numpy.uint8)

    def work(start: int, stop: int) -> None:
        padded = _padded(rows[start:stop], windows, -numpy.inf)
        rest: list[tuple[Array, Any]] = [(padded[(..., *key)], numpy.uint8(k)) for k, key in enumerate(_keys(windows))]
        while len(rest) > 1:  # each value is read once only: reading with strides takes most of the time
            odd = rest[len(rest) & ~1 :]
            rest = [_larger(rest[i], rest[i + 1]) for i in range(0, len(rest) - 1, 2)] + odd
        values[start:stop], number = rest[0]
        # in a window of -inf alone, the first value may be padding, which must not be chosen
        numpy.maximum(number, first, out=numbers[start:stop])

    _in_blocks(rows, windows, work)
    if best.size and numpy.isnan(numpy.maximum.reduce(best, axis=None)):  # nan is not greater, but must be chosen
        return plain.max_pool(full_namespace(), x, windows)
    return best, which


def _mask(keep: Array, bits: Any) -> Array:
    """Integers with all bits set where ``keep``, else 0. Unlike a product, a mask is exact for infinity and nan."""
    mask = keep.view(numpy.int8).astype(bits)
    return numpy.negative(mask, mask)


def max_pool_grad(g: Array, which: Array, windows: Windows) -> Array:
    """As the plain version: for each number k, ``g`` where ``which`` is k, added to the values number k."""
    if not all(window.stride for window in windows):
        return plain.max_pool_grad(full_namespace(), g, which, windows)
    lead = g.shape[: g.ndim - len(windows)]
    sizes = _padded_sizes(windows)
    disjoint = all(window.stride >= (window.kernel - 1) * window.dilation + 1 for window in windows)
    full = [window.tiles and window.out * window.kernel == window.size for window in windows]
    out = (numpy.empty if disjoint and all(full) else numpy.zeros)((*lead, *sizes), g.dtype)
    gs, numbers, target = _flat(numpy.ascontiguousarray(g), windows), _flat(which, windows), _flat(out, windows)
    bits = BITS.get(g.itemsize)

    def work(start: int, stop: int) -> None:
        for k, key in enumerate(_keys(windows)):
            view, keep, part = target[start:stop][(..., *key)], numbers[start:stop] == k, gs[start:stop]
            if bits is None:
                part = numpy.where(keep, part, part.dtype.type(0))
            elif disjoint:
                numpy.bitwise_and(part.view(bits), _mask(keep, bits), view.view(bits))
                continue
            else:
                mask = _mask(keep, bits)
                part = numpy.bitwise_and(part.view(bits), mask, mask).view(g.dtype)
            if disjoint:
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

    # Two neighbours of 32 bits are handled as one integer: one of them is the gradient, the other is 0.
    paired = disjoint and full[-1] and windows[-1].kernel == 2 and g.itemsize == 4 and sys.byteorder == "little"
    _in_blocks(target, windows, in_pairs if paired else work)
    return out if sizes == tuple([window.size for window in windows]) else out[_inside(windows)]


def avg_pool(x: Array, windows: Windows, divisor: float) -> Array:
    """As the plain version."""
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
    """As the plain version, by adding ``g / divisor`` to strided slices."""
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
    """As the plain version: NumPy writes in order, so the last value for a place stays."""
    out = numpy.zeros((values.shape[0], size), values.dtype)
    out[numpy.arange(values.shape[0])[:, None], places] = values
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (max_pool, max_pool_grad, avg_pool, avg_pool_grad, max_unpool)
}
