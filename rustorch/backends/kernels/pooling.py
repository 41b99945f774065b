"""Pooling: the largest value of every window, or their sum, over any number of trailing axes.

Both are linear once it is known which value is the largest, so each has its transpose beside it, and the transposes
have theirs: every order of derivative exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple


class Window(NamedTuple):
    """Windows along one axis.

    Value ``k`` of window ``o`` is at ``o * stride - padding + k * dilation``. With ``stride`` 0 the windows are the
    bins of adaptive pooling, from ``floor(o * size / out)`` to before ``ceil((o + 1) * size / out)``; ``kernel`` is the
    longest one's length.
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
        """Whether the windows lie side by side, from the start on, and none reaches beyond the end."""
        return (
            self.stride == self.kernel
            and self.dilation == 1
            and not self.padding
            and self.out * self.kernel <= self.size
        )


Windows = tuple[Window, ...]


def bins(size: int, out: int) -> Window:
    """The windows of adaptive pooling; regular ones where ``out`` divides ``size``."""
    if size % out == 0:
        return Window(size, out, size // out, size // out)
    return Window(size, out, max(-((o + 1) * size // -out) - o * size // out for o in range(out)))


# -- where things are --------------------------------------------------------------------------------------------------
def _place(xp: Any, window: Window, o: Any, k: Any) -> Any:
    """The position of value ``k`` of window ``o``; a bin that is shorter than others has its last value twice."""
    if window.stride:
        return o * window.stride - window.padding + k * window.dilation
    wide = xp.astype(o, xp.int64)  # for products of two sizes
    end = ((wide + 1) * window.size + window.out - 1) // window.out
    place = wide * window.size // window.out + k
    return xp.astype(xp.where(place < end, place, end - 1), o.dtype)


def _numbers(xp: Any, like: Any, windows: Windows, i: int) -> Any:
    """The windows' numbers along axis ``i`` of them, shaped so that they broadcast against the output."""
    return xp.reshape(xp.arange_like(like, windows[i].out), (windows[i].out,) + (1,) * (len(windows) - 1 - i))


def _along(i: int, x: Any, windows: Windows, part: slice) -> Any:
    """A slice along the axis of window ``i``."""
    return x[(slice(None),) * (x.ndim - len(windows) + i) + (part,) + (slice(None),) * (len(windows) - 1 - i)]


def _extended(xp: Any, x: Any, i: int, windows: Windows, before: int, after: int, fill: float) -> Any:
    """``x`` with values before and after, along the axis of window ``i``."""
    if not (before or after):
        return x
    axis = x.ndim - len(windows) + i
    edge = xp.full_like(_along(i, x, windows, slice(0, 1)), fill)
    sides = [xp.broadcast_to(edge, (*x.shape[:axis], n, *x.shape[axis + 1 :])) for n in (before, after)]
    return xp.concat([side for side in (sides[0], x, sides[1]) if side.shape[axis]], axis=axis)


def _shifted(xp: Any, x: Any, i: int, windows: Windows, k: int) -> Any:
    """Value ``k`` of every window along axis ``i`` of them; ``x`` is extended already."""
    window = windows[i]
    if window.stride:
        start = k * window.dilation
        return _along(i, x, windows, slice(start, start + (window.out - 1) * window.stride + 1, window.stride))
    like = xp.zeros_like(x[tuple([slice(0, min(1, n)) for n in x.shape])], dtype=xp.int32)
    return xp.take(x, _place(xp, window, xp.arange_like(like, window.out), k), axis=x.ndim - len(windows) + i)


def _values(xp: Any, x: Any, windows: Windows, i: int = 0) -> Iterator[Any]:
    """The windows' values number 0, number 1, ...: arrays of the output's shape."""
    if i == len(windows):
        yield x
        return
    for k in range(windows[i].kernel):
        yield from _values(xp, _shifted(xp, x, i, windows, k), windows, i + 1)


# -- maxima ------------------------------------------------------------------------------------------------------------
def _first(xp: Any, like: Any, windows: Windows) -> Any:
    """The number of each window's first value that is no padding."""
    total: Any = 0
    for i, window in enumerate(windows):
        outside = window.padding - _numbers(xp, like, windows, i) * window.stride
        outside = xp.where(outside > 0, outside, xp.zeros_like(outside))
        total = total * window.kernel + (outside + window.dilation - 1) // window.dilation
    return total


def max_pool(xp: Any, x: Any, windows: Windows) -> tuple[Any, Any]:
    """The largest value of every window, and which of the window's values it is.

    Padding counts as -inf and is never the one. Of equal values it is the first, and nan is larger than everything, as
    PyTorch has it.

    Parameters
    ----------
    x : (..., size1, size2, ...)
    windows : tuple of Window
        For the trailing axes.

    Returns
    -------
    Two arrays of shape (..., out1, out2, ...); the second holds numbers below the product of the kernels, of uint8 if
    they fit.
    """
    for i, window in enumerate(windows):
        x = _extended(xp, x, i, windows, window.padding, window.after, -float("inf"))
    best: Any = None
    which: Any = None
    for k, value in enumerate(_values(xp, x, windows)):
        if best is None:
            best = xp.full_like(value, -float("inf"))
            which = xp.zeros_like(value, dtype=xp.int32)
            which = xp.broadcast_to(_first(xp, which, windows), value.shape)
        better = xp.logical_or(value > best, xp.isnan(value))
        best = xp.where(better, value, best)
        which = xp.where(better, xp.full_like(which, k), which)
    return best, xp.astype(which, xp.uint8) if prod([window.kernel for window in windows]) <= 256 else which


def max_pool_indices(xp: Any, which: Any, windows: Windows) -> Any:
    """Positions in the flattened trailing axes of the input, from the second result of ``max_pool``."""
    which = xp.astype(which, xp.int32 if prod([window.size for window in windows]) < 2**31 else xp.int64)
    rest = prod([window.kernel for window in windows])
    index: Any = 0
    for i, window in enumerate(windows):
        rest //= window.kernel
        k = which // rest % window.kernel
        index = index * window.size + _place(xp, window, _numbers(xp, which, windows, i), k)
    return index


def _as_rows(xp: Any, x: Any, windows: Windows) -> Any:
    """The axes of the windows as one, and those before them as one."""
    lead = x.ndim - len(windows)
    return xp.reshape(x, (prod(x.shape[:lead]), prod(x.shape[lead:])))


def max_pool_gather(xp: Any, x: Any, which: Any, windows: Windows) -> Any:
    """The values that ``which`` names, one of every window."""
    indices = max_pool_indices(xp, which, windows)
    found = xp.take_along_axis(_as_rows(xp, x, windows), _as_rows(xp, indices, windows), axis=1)
    return xp.reshape(found, which.shape)


def max_pool_grad(xp: Any, g: Any, which: Any, windows: Windows) -> Any:
    """The transpose of ``max_pool_gather``: ``g`` added up where its values came from, in zeros of the
    input's shape.
    """
    sizes = tuple([window.size for window in windows])
    indices = _as_rows(xp, max_pool_indices(xp, which, windows), windows)
    rows = _as_rows(xp, g, windows)
    out = xp.scatter_add(rows, indices, (rows.shape[0], prod(sizes)), 1)
    return xp.reshape(out, (*g.shape[: g.ndim - len(windows)], *sizes))


# -- sums --------------------------------------------------------------------------------------------------------------
def avg_pool(xp: Any, x: Any, windows: Windows, divisor: float) -> Any:
    """The sum of every window over ``divisor``, padding counting as 0; along one axis after the other."""
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


def avg_pool_grad(xp: Any, g: Any, windows: Windows, divisor: float) -> Any:
    """The transpose of ``avg_pool``: ``g`` over ``divisor`` at every place of its window, added up where windows
    overlap.
    """
    lead = g.ndim - len(windows)
    g = g / divisor
    for i in reversed(range(len(windows))):
        window, axis = windows[i], lead + i
        if window.tiles:
            g = xp.expand_dims(g, axis=axis + 1)
            g = xp.broadcast_to(g, (*g.shape[: axis + 1], window.kernel, *g.shape[axis + 2 :]))
            g = xp.reshape(g, (*g.shape[:axis], window.out * window.kernel, *g.shape[axis + 2 :]))
        else:
            apart = xp.expand_dims(g, axis=axis + 1)
            gaps = xp.broadcast_to(
                xp.zeros_like(apart), (*apart.shape[: axis + 1], window.stride - 1, *apart.shape[axis + 2 :])
            )
            apart = xp.concat([apart, gaps], axis=axis + 1) if window.stride > 1 else apart
            g = xp.reshape(apart, (*g.shape[:axis], window.out * window.stride, *g.shape[axis + 1 :]))
            last = window.kernel - 1
            g = sum(
                [_extended(xp, g, i, windows, k, last - k, 0.0) for k in range(1, last + 1)],
                _extended(xp, g, i, windows, 0, last, 0.0),
            )
            g = _along(i, g, windows, slice(window.padding, min(window.padding + window.size, g.shape[axis])))
        g = _extended(xp, g, i, windows, 0, window.size - g.shape[axis], 0.0)
    return g


def max_unpool(xp: Any, values: Any, places: Any, size: int) -> Any:
    """Zeros of shape (rows, size) with ``values``, (rows, n), at ``places``; of several for one place the
    last stays.
    """
    rows = values.shape[0]
    starts = xp.reshape(xp.arange_like(places, rows), (rows, 1)) * size
    zeros = xp.reshape(xp.broadcast_to(xp.zeros_like(values[:, :1]), (rows, size)), (rows * size,))
    flat = xp.overwrite(
        zeros, xp.reshape(values, (prod(values.shape),)), xp.reshape(places + starts, (prod(values.shape),))
    )
    return xp.reshape(flat, (rows, size))
