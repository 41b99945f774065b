"""NumPy's convolutions: one matrix product for a few samples at a time, in buffers that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, copyto, matmul
from numpy.lib.stride_tricks import as_strided

from ..kernels.convolution import Pairs, Sizes, mirrored
from ..threads import spread
from .namespace import NUMPY

if TYPE_CHECKING:
    from ..base import Array

#: Bytes of columns at a time: they fit into a processor's cache, and are enough for an efficient matrix product.
CACHE = 1 << 20
#: The number of positions from which a sample gets a matrix product of its own.
LONG = 256


def _size(size: Sizes, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Sizes:
    """The spatial sizes of the output."""
    return tuple(
        [
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
        ]
    )


def _copy(target: Array, source: Array) -> None:
    """Copy. A short row is copied as one void item, in half the time of NumPy's loop over its elements."""
    row = target.shape[-1] * target.itemsize
    if 1 < row <= 512 and target.dtype == source.dtype and target.strides[-1] == source.strides[-1] == target.itemsize:
        item = numpy.dtype((numpy.void, row))
        target, source = target.view(item), source.view(item)
    copyto(target, source)


class _Columns:
    """The inputs of each output position, for a few samples at a time: a matrix that the weight is multiplied with.

    A buffer holds the samples with their padding; the zeros after a row are also zeros before the next row. There are
    two ways to fill the matrix:

    - If all strides are 1, the inputs for one place of the kernel and one channel are a contiguous run of the buffer,
      which is copied as a whole. It includes positions where the kernel reaches beyond the end of a row; `inside`
      leaves these out.
    - Otherwise, only the positions of the output are copied. That is also done if the kernel reads fewer numbers than
      it makes, ``outs`` per group: each sample then has a product of its own, and its output is not copied (``each``).
    """

    def __init__(
        self,
        shape: Sizes,
        dtype: numpy.dtype,
        kernel: Sizes,
        stride: Sizes,
        padding: Pairs,
        dilation: Sizes,
        groups: int,
        outs: int,
    ):
        batch, channels, *size = shape
        n, item = len(size), dtype.itemsize
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padded = [size[i] + sum(padding[i]) for i in range(n)]
        self.size = _size(tuple(size), kernel, stride, padding, dilation)
        # negative padding leaves elements out
        used = [(max(-before, 0), size[i] + min(after, 0)) for i, (before, after) in enumerate(padding)]
        self.source: Any = [slice(start, max(start, stop)) for start, stop in used]
        starts = [max(before, 0) for before, _ in padding]
        self.target = [
            slice(start, start + part.stop - part.start) for start, part in zip(starts, self.source, strict=True)
        ]
        padded[-1] -= max(min(*padding[-1], reach[-1]), 0)
        steps = [prod(padded[i + 1 :]) for i in range(n)]
        rows = channels * prod(kernel)
        self.each = rows <= outs and prod(self.size) >= LONG
        runs = not self.each and all(s == 1 for s in stride)
        self.grid = (self.size[0], *padded[1:]) if runs else self.size
        positions = prod(self.grid)
        self.samples = min(max(CACHE // max(rows * positions * item, 1), 1), batch)
        room = self.samples * prod(padded)
        inner, strides = ([positions], [1]) if runs else (self.size, [steps[i] * stride[i] for i in range(n)])
        shape = (channels, *kernel, self.samples, *inner)
        strides = [*[steps[i] * dilation[i] for i in range(n)], prod(padded), *strides]
        # the last positions reach beyond the end of the samples
        end = 1 + sum([(count - 1) * step for count, step in zip(shape[1:], strides, strict=True)])
        self.memory = flat = numpy.zeros((channels, max(room, end)), dtype)
        self.buffer = flat[:, :room].reshape(channels, self.samples, *padded)
        strides = [flat.strides[0], *[item * step for step in strides]]
        self.windows = as_strided(flat, shape, strides, writeable=False)
        self.columns = numpy.empty(shape, dtype)
        self.matrix = self.columns.reshape(groups, rows // groups, self.samples * positions)
        self.matrices = self.columns.reshape(groups, rows // groups, self.samples, positions).transpose(2, 0, 1, 3)

    def of(self, part: Array) -> Array:
        """The matrix of some samples, (groups, in / groups * kernel, positions). The next call overwrites it."""
        _copy(self.buffer[(slice(None), slice(len(part)), *self.target)], part[(..., *self.source)].swapaxes(0, 1))
        copyto(self.columns, self.windows)
        return self.matrix

    def inside(self, results: Array, n: int) -> Array:
        """The results at positions of the output, (groups * rows, n, *size), out of the results at all positions,
        (groups, rows, positions), for the first ``n`` samples.
        """
        whole = results.reshape(-1, self.samples, *self.grid)
        return whole[(slice(None), slice(n), *[slice(size) for size in self.size])]


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    dtype = numpy.result_type(x, weight)
    outs, kernel = weight.shape[0], weight.shape[2:]
    size = _size(x.shape[2:], kernel, stride, padding, dilation)
    out = numpy.empty((x.shape[0], outs, *size), dtype if bias is None else numpy.result_type(dtype, bias))
    rows = weight.astype(dtype, copy=False).reshape(groups, outs // groups, prod(weight.shape[1:]))
    if bias is not None:
        bias = bias.reshape(outs, *[1] * len(kernel))

    def work(first: int, stop: int) -> None:
        columns = _Columns((stop - first, *x.shape[1:]), dtype, kernel, stride, padding, dilation, groups, outs)
        each = columns.each and out.dtype == dtype
        results = None if each else numpy.empty((groups, outs // groups, columns.matrix.shape[2]), dtype)
        for start in range(first, stop, columns.samples or 1):
            end = min(start + columns.samples, stop)
            matrix, target = columns.of(x[start:end]), out[start:end]
            if each:
                matmul(
                    rows,
                    columns.matrices[: end - start],
                    target.reshape(end - start, groups, outs // groups, prod(size)),
                )
            else:
                _copy(target.swapaxes(0, 1), columns.inside(matmul(rows, matrix, results), end - start))
            if bias is not None:
                add(target, bias, target)

    spread(x.shape[0], weight.size * x.shape[0] * prod(size), work)
    return out


def conv_grad_weight(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    dtype = numpy.result_type(g, x)
    outs, inner = g.shape[1], x.shape[1] // groups * prod(kernel)

    def work(first: int, stop: int) -> Array:
        columns = _Columns((stop - first, *x.shape[1:]), dtype, kernel, stride, padding, dilation, groups, outs)
        out = numpy.zeros((groups, inner, outs // groups), dtype)
        if columns.each:
            terms = numpy.empty((columns.samples, *out.shape), dtype)
        else:
            term = numpy.empty_like(out)
            # the positions that `inside` leaves out stay zero
            results = numpy.zeros((groups, outs // groups, columns.matrix.shape[2]), dtype)
        for start in range(first, stop, columns.samples or 1):
            end = min(start + columns.samples, stop)
            matrix, n = columns.of(x[start:end]), end - start
            if columns.each:
                gradient = g[start:end].reshape(n, groups, outs // groups, prod(g.shape[2:])).swapaxes(2, 3)
                add(out, add.reduce(matmul(columns.matrices[:n], gradient, terms[:n]), 0), out)
                continue
            if n < columns.samples:
                results[...] = 0
            _copy(columns.inside(results, n), g[start:end].swapaxes(0, 1))
            # the longer side first: the product takes three quarters of the time
            add(out, matmul(matrix, results.swapaxes(1, 2), term), out)
        return out

    out, *others = spread(x.shape[0], g.size * inner, work)
    for other in others:
        add(out, other, out)
    return out.swapaxes(1, 2).reshape(outs, x.shape[1] // groups, *kernel)


def conv_grad_input(
    g: Array, weight: Array, size: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version if all strides are 1. Otherwise the products of each sample are added where they belong."""
    kernel, n = weight.shape[2:], len(size)
    if all(s == 1 for s in stride):
        around = tuple(
            [
                (dilation[i] * (kernel[i] - 1) - before, dilation[i] * (kernel[i] - 1) - after)
                for i, (before, after) in enumerate(padding)
            ]
        )
        return conv(g, mirrored(NUMPY, weight, groups), None, stride, around, dilation, groups)
    dtype = numpy.result_type(g, weight)
    (batch, outs), places = g.shape[:2], g.shape[2:]
    channels = groups * weight.shape[1]
    rows = weight.astype(dtype, copy=False).reshape(groups, outs // groups, -1 if weight.size else 0).swapaxes(1, 2)
    padded = [size[i] + before + max(after, 0) for i, (before, after) in enumerate(padding)]
    inner: Any = tuple([slice(before, before + size[i]) for i, (before, _) in enumerate(padding)])
    out = numpy.empty((batch, channels, *size), dtype)

    def work(first: int, stop: int) -> None:
        samples = min(max(CACHE // max(channels * prod(kernel) * prod(places) * dtype.itemsize, 1), 1), stop - first)
        sums = numpy.empty((channels, samples, *padded), dtype)
        for start in range(first, stop, samples or 1):
            part = g[start : min(start + samples, stop)].swapaxes(0, 1)
            columns = matmul(rows, part.reshape(groups, outs // groups, part.shape[1] * prod(places)))
            columns = columns.reshape(channels, *kernel, part.shape[1], *places)
            total = sums[:, : part.shape[1]]
            total[...] = 0
            for place in product(*map(range, kernel)):
                low = [place[i] * dilation[i] for i in range(n)]
                key: Any = [slice(low[i], low[i] + (places[i] - 1) * stride[i] + 1, stride[i]) for i in range(n)]
                reached = total[(..., *key)]
                add(reached, columns[(slice(None), *place)], reached)
            copyto(out[start : start + part.shape[1]].swapaxes(0, 1), total[(..., *inner)])

    spread(batch, g.size * channels * prod(kernel), work)
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (conv, conv_grad_input, conv_grad_weight)
}
