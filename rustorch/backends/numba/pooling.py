"""Pooling as compiled loops. See `pooling_loops`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from . import pooling_loops as loops
from .kernel import LEAST, flat

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.pooling import Window, Windows


class _Layout(NamedTuple):
    """Windows for the loops.

    Attributes
    ----------
    sizes : array of int64
        Sizes of input, output and kernel, strides, padding and dilation, three each.
    table : array of int32
        Places of the values along each axis, then the numbers of the first values that are not padding.
    places : array of int32
        The distance of each value of a regular window from its first one.
    out : tuple
        The sizes of the output.
    rows : int
        The number of rows of windows of a plane.
    values : int
        The number of values of a window.
    regular : bool
        Whether no axis has bins of different lengths.
    pairs, full : bool
        Whether the windows are 2 x 2, side by side, and whether they cover the input.
    """

    sizes: Array
    table: Array
    places: Array
    out: tuple[int, ...]
    rows: int
    values: int
    regular: bool
    pairs: bool
    full: bool


@lru_cache(maxsize=256)
def _layout(windows: Windows) -> _Layout:
    lead = 3 - len(windows)
    numbers = [[1] * lead + [getattr(w, name) for w in windows] for name in ("size", "out", "kernel")]
    options = [
        [default] * lead + [getattr(w, name) for w in windows]
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    ]
    places = [numpy.zeros(1, numpy.int32)] * lead + [_places(window) for window in windows]
    firsts = [numpy.zeros(1, numpy.int32)] * lead + [_firsts(window) for window in windows]
    pair = [w.tiles and w.kernel == 2 for w in windows]
    return _Layout(
        numpy.array(numbers + options, numpy.int64).reshape(-1),
        numpy.concatenate([*places, *firsts]),
        _distances(windows),
        tuple([window.out for window in windows]),
        prod([window.out for window in windows[:-1]]),
        prod([window.kernel for window in windows]),
        0 not in [window.stride for window in windows],
        pair == [True, True],
        [window.out * window.kernel for window in windows] == [window.size for window in windows],
    )


def _places(window: Window) -> Array:
    """The place of value k of window o at ``k * out + o``; -1 for padding. A short bin repeats its last value."""
    k, o = numpy.arange(window.kernel)[:, None], numpy.arange(window.out)
    if window.stride:
        places = o * window.stride - window.padding + k * window.dilation
        places[(places < 0) | (places >= window.size)] = -1
    else:
        ends = -((o + 1) * window.size // -window.out)
        places = numpy.minimum(o * window.size // window.out + k, ends - 1)
    return places.astype(numpy.int32).reshape(-1)


def _distances(windows: Windows) -> Array:
    """How far each value of a regular window is from the first one, in the flattened axes of the input."""
    steps = [prod([window.size for window in windows[i + 1 :]]) for i in range(len(windows))]
    values = product(
        *[range(0, w.kernel * w.dilation * step, w.dilation * step) for w, step in zip(windows, steps, strict=True)]
    )
    return numpy.array([sum(value) for value in values], numpy.int32)


def _firsts(window: Window) -> Array:
    """The number of the first value of each window that is not padding."""
    outside = numpy.maximum(window.padding - numpy.arange(window.out) * window.stride, 0)
    return ((outside + window.dilation - 1) // window.dilation).astype(numpy.int32)


#: Values of all windows along an axis at most: longer tables of places do not pay.
_LONGEST = 1 << 20


def _served(x: Array, windows: Windows) -> _Layout | None:
    """The layout, or None where NumPy should serve."""
    if x.size < LEAST or not 1 <= len(windows) <= 3:
        return None
    if max([window.out * window.kernel for window in windows]) > _LONGEST or min([w.out for w in windows]) < 1:
        return None
    if prod([window.size for window in windows]) >= 2**31:
        return None
    return _layout(windows)


def max_pool(x: Array, windows: Windows) -> Any:
    """As the plain version."""
    layout = _served(x, windows)
    if layout is None:
        return NotImplemented
    dtype = "uint8" if layout.values <= 256 else "int32"
    in_rows = dtype == "uint8" and layout.regular and windows[-1].stride <= 2
    kernel = loops.MAX_POOL_PAIRS if layout.pairs else loops.MAX_POOL_ROWS if in_rows else loops.MAX_POOL[dtype]
    launch = kernel.of(x.dtype, x.size)
    if launch is None:
        return NotImplemented
    x, shape = flat(x), (*x.shape[: x.ndim - len(windows)], *layout.out)
    best, which = numpy.empty(shape, x.dtype), numpy.empty(shape, dtype)
    items, cost = best.size // layout.out[-1], 2 * best.size * layout.values
    if layout.pairs:
        launch(items, cost, x, best, which, x.shape[-1], layout.out[0], x.shape[-2])
    elif in_rows:
        launch(items, cost, x, best, which, layout.sizes)
    else:
        launch(items, 2 * cost, x, best, which, layout.table, layout.sizes)
    return best, which


def max_pool_gather(x: Array, which: Array, windows: Windows) -> Array:
    """As the plain version."""
    layout = _served(x, windows)
    kernel = loops.TAKE_FROM_PLACE.get(which.dtype.name)
    if layout is None or kernel is None or not layout.regular:
        return NotImplemented
    launch = kernel.of(x.dtype, x.size)
    if launch is None:
        return NotImplemented
    out = numpy.empty(which.shape, x.dtype)
    launch(out.size // layout.out[-1], 8 * out.size, flat(x), flat(which), out, layout.places, layout.sizes)
    return out


def max_pool_grad(g: Array, which: Array, windows: Windows) -> Array:
    """As the plain version."""
    layout = _served(g, windows)
    kernel = loops.ADD_TO_PLACE.get(which.dtype.name)
    if layout is None or kernel is None or not layout.regular or which.shape != g.shape:
        return NotImplemented
    pairs = layout.pairs and which.dtype == numpy.uint8
    launch = (loops.MAX_POOL_GRAD_PAIRS if pairs else kernel).of(g.dtype, g.size)
    if launch is None:
        return NotImplemented
    shape = (*g.shape[: g.ndim - len(windows)], *[window.size for window in windows])
    g, which = flat(g), flat(which)
    out = (numpy.zeros if pairs and not layout.full else numpy.empty)(shape, g.dtype)
    if pairs:
        launch(g.size // g.shape[-1], 2 * out.size, g, which, out, shape[-1], g.shape[-2], shape[-2])
    else:
        launch(prod(shape[: -len(windows)]), 8 * out.size, g, which, out, layout.places, layout.sizes)
    return out


def avg_pool(x: Array, windows: Windows, divisor: float) -> Array:
    """As the plain version."""
    layout = _served(x, windows)
    launch = None if layout is None else (loops.AVG_POOL_PAIRS if layout.pairs else loops.AVG_POOL).of(x.dtype, x.size)
    if launch is None or layout is None:
        return NotImplemented
    x = flat(x)
    out = numpy.empty((*x.shape[: x.ndim - len(windows)], *layout.out), x.dtype)
    items, cost = out.size // layout.out[-1], out.size * layout.values
    if layout.pairs:
        launch(items, cost, x, out, divisor, x.shape[-1], layout.out[0], x.shape[-2])
    else:
        launch(items, 2 * cost, x, out, layout.table, layout.sizes, divisor)
    return out


def avg_pool_grad(g: Array, windows: Windows, divisor: float) -> Array:
    """As the plain version."""
    layout = _served(g, windows)
    launch = (
        None
        if layout is None
        else (loops.AVG_POOL_GRAD_PAIRS if layout.pairs else loops.AVG_POOL_GRAD).of(g.dtype, g.size)
    )
    if launch is None or layout is None:
        return NotImplemented
    shape = (*g.shape[: g.ndim - len(windows)], *[window.size for window in windows])
    g = flat(g)
    out = (numpy.zeros if layout.pairs and not layout.full else numpy.empty)(shape, g.dtype)
    if layout.pairs:
        launch(g.size // g.shape[-1], out.size, g, out, divisor, shape[-1], g.shape[-2], shape[-2])
    else:
        launch(prod(shape[: -len(windows)]), 2 * g.size * layout.values, g, out, layout.table, layout.sizes, divisor)
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (max_pool, max_pool_gather, max_pool_grad, avg_pool, avg_pool_grad)
}
