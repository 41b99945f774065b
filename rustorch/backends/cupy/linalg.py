"""The norm of vectors in one launch."""

from __future__ import annotations

import cupy
import numpy

from ..base import Array
from ..kernels.linalg import safe_sizes
from . import clipping
from .launch import Source, call_plain, overrides
from .rows import ROWS, Rows, along, channels, launch_rows, trailing

#: A single row of more elements is too much for one block.
LONG = 1 << 14
_SOURCE = Source(
    ROWS,
    """
// Sizes are divided by the largest one (for a negative order, the smallest) unless it is between least and most.
extern "C" __launch_bounds__(1024) __global__ void
vector_norm(Rows rows, const T* x, T* out, T order, T least, T most) {
    Row row(rows);
    T sign = order < 0 ? -1 : 1, top = log((T)0), sum = 0;
    EACH(j) top = larger(top, sign * fabs(x[row.at(j)]));
    top = sign * row.largest(top);
    bool done = order - order != 0 || top == 0 || top - top != 0;  // top is the norm: the order or top is not finite
    T scale = done || (top >= least && top <= most) ? 1 : top;
    EACH(j) {
        T size = fabs(x[row.at(j)]) / scale;
        sum += order == 2 ? size * size : pow(size, order);
    }
    sum = row.sum(sum);
    T root = scale * (order == 2 ? sqrt(sum) : pow(sum, 1 / order));
    if (row.is_first()) out[row.number] = done ? top : root;
}
""",
)


def _rows(shape: tuple[int, ...], axes: tuple[int, ...]) -> Rows | None:
    """The rows that these axes make. None unless they are one axis, the last ones, or all but axis 1."""
    n, ndim = len(axes), len(shape)
    if axes == tuple(range(ndim - n, ndim)):
        return trailing(shape, n)
    if n == 1:
        return along(shape, axes[0])
    return channels(shape) if axes == (0, *range(2, ndim)) else None


def vector_norm(x: Array, axes: tuple[int, ...], order: float, keepdims: bool) -> Array:
    axes = tuple([axis % x.ndim for axis in axes])
    rows = _rows(x.shape, axes) if axes else None
    shape = tuple([1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes])
    if rows is None:
        return call_plain("vector_norm", x, axes, order, keepdims)
    if rows.total == 1 and rows.size > LONG and order > 0:
        return clipping.total_norm(order, x).reshape(shape)
    out = cupy.empty(shape, x.dtype)
    launch_rows(_SOURCE, "vector_norm", rows, x, out, float(order), *safe_sizes(numpy.finfo(x.dtype), order))
    return out


OVERRIDES = overrides(vector_norm)
