"""NumPy's sums at indices that may repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add

from .. import scatter

if TYPE_CHECKING:
    from ..base import Array


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """As the plain version. It writes the last slice of each index first. Then it sorts the others by index, sums each
    run, and adds the sums.
    """
    axis %= len(shape)
    out = numpy.zeros(shape, values.dtype)
    if not values.size:
        return out
    rows = numpy.moveaxis(out, axis, 0)
    values = numpy.moveaxis(values, axis, 0)
    indices = numpy.where(indices < 0, indices + shape[axis], indices)
    numbers = numpy.arange(len(indices))
    last = numpy.empty(shape[axis], numbers.dtype)
    last[indices] = numbers
    rows[indices] = values
    others = numpy.flatnonzero(last[indices] != numbers)
    if len(others):
        others = others[numpy.argsort(indices[others], kind="stable")]
        indices = indices[others]
        starts = numpy.flatnonzero(numpy.concatenate(([True], indices[1:] != indices[:-1])))
        rows[indices[starts]] += add.reduceat(values[others], starts, axis=0)
    return out


def scatter_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    return scatter.scatter_add(numpy, add.at, values, indices, shape, axis)


def put_add(values: Array, shape: tuple[int, ...], key: Any) -> Array:
    return scatter.put_add(numpy, add.at, values, shape, key)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (index_add, scatter_add, put_add)
}
