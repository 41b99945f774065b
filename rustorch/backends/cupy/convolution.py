"""Convolution: the values that each position sees become a column of a matrix, and cuBLAS multiplies all samples."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import cupy

from ..base import Array
from ..kernels.convolution import Pairs, Sizes
from ..kernels.pooling import Window, Windows
from .launch import overrides, product
from .windows import fold, sizes, unfold

#: The most bytes of columns at a time. A larger batch is treated in parts.
ROOM = 1 << 28


def _windows(size: Sizes, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Windows:
    return tuple(
        [
            Window(n, (n + before + after - d * (k - 1) - 1) // s + 1, k, s, before, d)
            for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True)
        ]
    )


def _pointwise(windows: Windows) -> bool:
    """Whether each position sees itself alone, so that an array is its own columns."""
    return all(w.kernel == w.stride == 1 and not w.padding and w.out == w.size for w in windows)


def _parts(samples: int, rows: int, windows: Windows, itemsize: int) -> Iterator[slice]:
    """Slices of samples whose columns fit in ROOM. A column has ``rows`` numbers."""
    step = max(ROOM // (rows * prod(sizes(windows)) * itemsize), 1)
    return (slice(start, min(start + step, samples)) for start in range(0, samples, step))


def _columns(x: Array, windows: Windows, groups: int) -> Iterator[tuple[slice, Array]]:
    """Slices of samples with their columns, each (samples, groups, in / groups * kernel, positions)."""
    rows = x.shape[1] * prod(sizes(windows, "kernel"))
    for part in _parts(x.shape[0], rows, windows, x.itemsize):
        columns = x[part] if _pointwise(windows) else unfold(x[part], windows)
        yield part, columns.reshape(columns.shape[0], groups, rows // groups, prod(sizes(windows)))


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    outs, _, *kernel = weight.shape
    windows = _windows(x.shape[2:], tuple(kernel), stride, padding, dilation)
    rows = weight.reshape(groups, outs // groups, -1)
    out = cupy.empty((x.shape[0], groups, outs // groups, prod(sizes(windows))), x.dtype)
    for part, columns in _columns(x, windows, groups):
        product(rows, columns, out[part])
    out = out.reshape(x.shape[0], outs, *sizes(windows))
    if bias is not None:
        out += bias.reshape(outs, *[1] * len(kernel))
    return out


def conv_grad_weight(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    windows = _windows(x.shape[2:], kernel, stride, padding, dilation)
    g = g.reshape(g.shape[0], groups, g.shape[1] // groups, -1)
    out = cupy.empty((groups * g.shape[2], x.shape[1] // groups, *kernel), g.dtype)
    flat = out.reshape(groups, g.shape[2], -1)
    for number, (part, columns) in enumerate(_columns(x, windows, groups)):
        terms = product(g[part], columns.swapaxes(2, 3))
        if number:
            flat += terms.sum(axis=0)
        else:
            terms.sum(axis=0, out=flat)
    return out


def conv_grad_input(
    g: Array, weight: Array, size: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    outs, ins, *kernel = weight.shape
    windows = _windows(size, tuple(kernel), stride, padding, dilation)
    # with a stride, inputs of several sizes have outputs of the same size: g says how many windows there were
    windows = tuple([w._replace(out=n) for w, n in zip(windows, g.shape[2:], strict=True)])
    rows = weight.reshape(groups, outs // groups, -1).swapaxes(1, 2)
    g = g.reshape(g.shape[0], groups, outs // groups, -1)
    out = cupy.empty((g.shape[0], groups * ins, *size), g.dtype)
    for part in _parts(g.shape[0], groups * rows.shape[1], windows, g.itemsize):
        if _pointwise(windows):
            product(rows, g[part], out[part])
        else:
            fold(product(rows, g[part]), windows, out[part])
    return out


OVERRIDES = overrides(conv, conv_grad_input, conv_grad_weight)
