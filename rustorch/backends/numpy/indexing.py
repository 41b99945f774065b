"""NumPy's sums of values at indices that may repeat."""

from __future__ import annotations

from collections.abc import Callable

import numpy
from numpy import add, ndarray

from .. import scatter

Array = ndarray


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Of each index, the last row is put in its place; the others, if there are any, are sorted by index and summed in
    runs.
    """
    axis %= len(shape)
    out = numpy.zeros(shape, values.dtype)
    if not values.size:
        return out
    rows = numpy.moveaxis(out, axis, 0)
    values = numpy.moveaxis(values, axis, 0)
    indices = numpy.where(indices < 0, indices + shape[axis], indices)
    counted = numpy.arange(len(indices))
    last = numpy.empty(shape[axis], counted.dtype)
    last[indices] = counted
    rows[indices] = values
    others = numpy.flatnonzero(last[indices] != counted)
    if len(others):
        others = others[numpy.argsort(indices[others], kind="stable")]
        indices = indices[others]
        starts = numpy.flatnonzero(numpy.concatenate(([True], indices[1:] != indices[:-1])))
        rows[indices[starts]] += add.reduceat(values[others], starts, axis=0)
    return out


OVERRIDES: dict[str, Callable] = {**scatter.overrides(numpy, add.at), "index_add": index_add}
