"""Pooling: the largest value or the sum of every window, over any number of trailing axes.

Both are linear once the positions of the largest values are known. So the gradient of each is a kernel, and so is the
gradient of that: derivatives of every order exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..base import Array, Namespace


class Window(NamedTuple):
    """Windows along one axis.

    Value ``k`` of window ``o`` is at ``o * stride - padding + k * dilation``. A ``stride`` of 0 stands for the bins of
    adaptive pooling: they start at ``floor(o * size / out)`` and end before ``ceil((o + 1) * size / out)``, and
    ``kernel`` is the length of the longest bin.
    """

    size: int
    out: int
    kernel: int
    stride: int = 0
    padding: int = 0
    dilation: int = 1

    @property
    def after(self) -> int:
        """How far the last window reaches beyond the end."""
        return max(0, (self.out - 1) * self.stride + (self.kernel - 1) * self.dilation + 1 - self.padding - self.size)

    @property
    def tiles(self) -> bool:
        """Whether the windows lie side by side from the start, and none reaches beyond the end."""
        return (
            self.stride == self.kernel
            and self.dilation == 1
            and not self.padding
            and self.out * self.kernel <= self.size
        )


Windows = tuple[Window, ...]


def bins(size: int, out: int) -> Window:
    """The windows of adaptive pooling. They are regular windows if ``out`` divides ``size``."""
    if size % out == 0:
        return Window(size, out, size // out, size // out)
    return Window(size, out, max(-((o + 1) * size // -out) - o * size // out for o in range(out)))


# -- positions ---------------------------------------------------------------------------------------------------------
def _place(xp: Namespace, window: Window, o: Array, k: Array) -> Array:
    """The position of value ``k`` of window ``o``. A short bin repeats its last value."""
    if window.stride:
        return o * window.stride - window.padding + k * window.dilation
    wide = xp.astype(o, xp.int64)  # holds the product of two sizes
    end = ((wide + 1) * window.size + window.out - 1) // window.out
    place = wide * window.size // window.out + k
    return xp.astype(xp.where(place < end, place, end - 1), o.dtype)


def _numbers(xp: Namespace, like: Array, windows: Windows, i: int) -> Array:
    """The numbers of the windows along their axis ``i``, in a shape that broadcasts with the output."""
    return xp.reshape(xp.arange_like(like, windows[i].out), (windows[i].out,) + (1,) * (len(windows) - 1 - i))


def _along(i: int, x: Array, windows: Windows, part: slice) -> Array:
    """A slice along the axis of window ``i``."""
    return x[(slice(None),) * (x.ndim - len(windows) + i) + (part,) + (slice(None),) * (len(windows) - 1 - i)]


def _extended(xp: Namespace, x: Array, i: int, windows: Windows, before: int, after: int, fill: float) -> Array:
    """``x`` with more values, ``fill``, before and after it along the axis of window ``i``."""
    if not (before or after):
        return x
    axis = x.ndim - len(windows) + i
    edge = xp.full_like(_along(i, x, windows, slice(0, 1)), fill)
    sides = [xp.broadcast_to(edge, (*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in (before, after)]
    return xp.concat([side for side in (sides[0], x, sides[1]) if side.shape[axis]], axis=axis)


def _shifted(xp: Namespace, x: Array, i: int, windows: Windows, k: int) -> Array:
    """Value ``k`` of every window along their axis ``i``. ``x`` has its padding already."""
    window = windows[i]
    if window.stride:
        start = k * window.dilation
        return _along(i, x, windows, slice(start, start + (window.out - 1) * window.stride + 1, window.stride))
    like = xp.zeros_like(x[tuple([slice(0, min(1, n)) for n in x.shape])], dtype=xp.int32)
    return xp.take(x, _place(xp, window, xp.arange_like(like, window.out), k), axis=x.ndim - len(windows) + i)


def _values(xp: Namespace, x: Array, windows: Windows, i: int = 0) -> Iterator[Any]:
    """Value 0 of all windows, value 1 of all windows, ...: arrays in the shape of the output."""
    if i == len(windows):
        yield x
        return
    for k in range(windows[i].kernel):
        yield from _values(xp, _shifted(xp, x, i, windows, k), windows, i + 1)


# -- maxima ------------------------------------------------------------------------------------------------------------
def first_numbers(xp: Namespace, like: Array, windows: Windows) -> Array:
    """The number of the first value of each window that is not padding."""
    total: Any = 0
    for i, window in enumerate(windows):
        outside = window.padding - _numbers(xp, like, windows, i) * window.stride
        outside = xp.where(outside > 0, outside, xp.zeros_like(outside))
        total = total * window.kernel + (outside + window.dilation - 1) // window.dilation
    return total


def max_pool(xp: Namespace, x: Array, windows: Windows) -> tuple[Array, Array]:
    """The largest value of every window, and its number in the window.

    Padding is never chosen. The first of equal values is, and nan is larger than all numbers, as in PyTorch.

    Parameters
    ----------
    x : (..., size1, size2, ...)
    windows : tuple of Window
        One for each of the trailing axes.

    Returns
    -------
    Two arrays (..., out1, out2, ...). The numbers are less than the product of the kernels; their dtype is uint8 if
    that is large enough.
    """
    for i, window in enumerate(windows):
        x = _extended(xp, x, i, windows, window.padding, window.after, -float("inf"))
    best: Any = None
    which: Array = None
    for k, value in enumerate(_values(xp, x, windows)):
        if best is None:
            best = xp.full_like(value, -float("inf"))
            which = xp.zeros_like(value, dtype=xp.int32)
            which = xp.broadcast_to(first_numbers(xp, which, windows), value.shape)
        better = xp.logical_or(value > best, xp.isnan(value))
        best = xp.where(better, value, best)
        which = xp.where(better, xp.full_like(which, k), which)
    return best, xp.astype(which, xp.uint8) if prod([window.kernel for window in windows]) <= 256 else which


def max_pool_indices(xp: Namespace, which: Array, windows: Windows) -> Array:
    """Positions in the flattened trailing axes of the input, from the second result of `max_pool`."""
    which = xp.astype(which, xp.int32 if prod([window.size for window in windows]) < 2**31 else xp.int64)
    rest = prod([window.kernel for window in windows])
    index: Any = 0
    for i, window in enumerate(windows):
        rest //= window.kernel
        k = which // rest % window.kernel
        index = index * window.size + _place(xp, window, _numbers(xp, which, windows, i), k)
    return index


def _as_rows(xp: Namespace, x: Array, windows: Windows) -> Array:
    """``x`` with the axes of the windows as one axis, and those before them as another."""
    lead = x.ndim - len(windows)
    return xp.reshape(x, (prod(x.shape[:lead]), prod(x.shape[lead:])))


def max_pool_gather(xp: Namespace, x: Array, which: Array, windows: Windows) -> Array:
    """One value of every window: the one whose number is in ``which``."""
    indices = max_pool_indices(xp, which, windows)
    values = xp.take_along_axis(_as_rows(xp, x, windows), _as_rows(xp, indices, windows), axis=1)
    return xp.reshape(values, which.shape)


def max_pool_grad(xp: Namespace, g: Array, which: Array, windows: Windows) -> Array:
    """The gradient of `max_pool_gather`: zeros in the input's shape, with ``g`` added where its values came from."""
    sizes = tuple([window.size for window in windows])
    indices = _as_rows(xp, max_pool_indices(xp, which, windows), windows)
    rows = _as_rows(xp, g, windows)
    out = xp.scatter_add(rows, indices, (rows.shape[0], prod(sizes)), 1)
    return xp.reshape(out, (*g.shape[: g.ndim - len(windows)], *sizes))


# -- sums --------------------------------------------------------------------------------------------------------------
def avg_pool(xp: Namespace, x: Array, windows: Windows, divisor: float) -> Array:
    """The sum of every window divided by ``divisor``, with 0 for padding. It sums along one axis after the other."""
    lead = x.ndim - len(windows)
    for i, window in enumerate(windows):
        if window.tiles:
            x = _along(i, x, windows, slice(0, window.out * window.kernel))
            axis = lead + i
            x = xp.reshape(x, (*x.shape[:axis], window.out, window.kernel, *x.shape[axis + 1 :]))
            x = xp.sum(x, axis=axis + 1)
        else:
            x = _extended(xp, x, i, windows, window.padding, window.after, 0.0)
            x = sum([_shifted(xp, x, i, windows, k) for k in range(1, window.kernel)], _shifted(xp, x, i, windows, 0))
    return x / divisor


def avg_pool_grad(xp: Namespace, g: Array, windows: Windows, divisor: float) -> Array:
    """The gradient of `avg_pool`: ``g / divisor`` added at every position of its window."""
    lead = g.ndim - len(windows)
    g = g / divisor
    for i in reversed(range(len(windows))):
        window, axis = windows[i], lead + i
        if window.tiles:
            g = xp.expand_dims(g, axis=axis + 1)
            g = xp.broadcast_to(g, (*g.shape[: axis + 1], window.kernel, *g.shape[axis + 2 :]))
            g = xp.reshape(g, (*g.shape[:axis], window.out * window.kernel, *g.shape[axis + 2 :]))
        else:
            spread = xp.expand_dims(g, axis=axis + 1)
            gaps = xp.broadcast_to(
                xp.zeros_like(spread), (*spread.shape[: axis + 1], window.stride - 1, *spread.shape[axis + 2 :])
            )
            spread = xp.concat([spread, gaps], axis=axis + 1) if window.stride > 1 else spread
            g = xp.reshape(spread, (*g.shape[:axis], window.out * window.stride, *g.shape[axis + 1 :]))
            last = window.kernel - 1
            g = sum(
                [_extended(xp, g, i, windows, k, last - k, 0.0) for k in range(1, last + 1)],
                _extended(xp, g, i, windows, 0, last, 0.0),
            )
            g = _along(i, g, windows, slice(window.padding, min(window.padding + window.size, g.shape[axis])))
        g = _extended(xp, g, i, windows, 0, window.size - g.shape[axis], 0.0)
    return g


def max_unpool(xp: Namespace, values: Array, places: Array, size: int) -> Array:
    """Zeros of shape (rows, size) with ``values``, (rows, n), at ``places``. If a place is named several times, its
    last value counts.
    """
    rows = values.shape[0]
    starts = xp.reshape(xp.arange_like(places, rows), (rows, 1)) * size
    zeros = xp.reshape(xp.broadcast_to(xp.zeros_like(values[:, :1]), (rows, size)), (rows * size,))
    flat = xp.overwrite(
        zeros, xp.reshape(values, (prod(values.shape),)), xp.reshape(places + starts, (prod(values.shape),))
    )
    return xp.reshape(flat, (rows, size))
