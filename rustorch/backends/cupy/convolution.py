"""Convolution: what each position sees as the columns of a matrix, and one product of cuBLAS for all samples."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import cupy

from ..kernels.convolution import Pairs, Sizes
from ..kernels.pooling import Window, Windows
from .launch import Array, overrides, product
from .windows import fold, sizes, unfold

#: Bytes of columns at a time; of a larger batch, some samples after the others.
ROOM = 1 << 28


def _windows(size: Sizes, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Windows:
    return tuple(
        [
            Window(n, (n + before + after - d * (k - 1) - 1) // s + 1, k, s, before, d)
            for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True)
        ]
    )


def _pointwise(windows: Windows) -> bool:
    """Whether each position sees itself and nothing else, so that an array is its own columns."""
    return all(w.kernel == w.stride == 1 and not w.padding and w.out == w.size for w in windows)


def _parts(samples: int, rows: int, windows: Windows, itemsize: int) -> Iterator[slice]:
    """Samples whose columns, ``rows`` of them each, fit in ROOM."""
    some = max(ROOM // (rows * prod(sizes(windows)) * itemsize), 1)
    return (slice(start, min(start + some, samples)) for start in range(0, samples, some))


def _columns(x: Array, windows: Windows, groups: int) -> Iterator[tuple[slice, Array]]:
    """Some samples, and their columns: (samples, groups, in / groups * kernel, positions)."""
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
    windows = tuple(
        [w._replace(out=n) for w, n in zip(windows, g.shape[2:], strict=True)]
    )  # there may be room for more of them
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
