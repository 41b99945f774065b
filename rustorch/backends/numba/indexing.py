"""Reading and adding at indices as compiled loops. Each item of a loop owns what it writes: no lock is needed, and sums
add their terms in the order of the indices, whatever the number of threads.

An array counts as (outer, n, inner) here: the axis of the indices, and the dimensions before and after it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy

from .. import threads
from .availability import always
from .kernel import LEAST, Kernel, flat

if TYPE_CHECKING:
    from ..base import Array

    T: Any = None  # the kernel's dtype

_FLOAT32, _INT64 = numpy.dtype("float32"), numpy.dtype("int64")
#: Columns that an item of `scatter_add` owns where there are few rows, and how many rows are few.
_COLUMNS, _ROWS = 64, 8
#: Elements from which it pays to copy rows in several threads.
LEAST_TAKEN = 0 if always() else 1 << 17
#: About how many additions it takes to read or write an element at an index.
_COST = 4


# -- the loops ---------------------------------------------------------------------------------------------------------
def _group(indices: Any, starts: Any, order: Any, failed: Any, count: int, rows: int, start: int, stop: int) -> None:
    """A counting sort: ``order[starts[r] : starts[r + 1]]`` are the places of index r, in their order."""
    for _ in range(start, stop):
        bad = 0
        begins = starts[: rows + 2]
        for r in range(begins.size):
            begins[r] = 0
        for i in range(count):
            index = indices[i]
            index = index + rows if index < 0 else index
            if index < 0 or index >= rows:
                bad = 1
            else:
                starts[index + 2] += 1
        for r in range(rows):
            starts[r + 2] += starts[r + 1]
        if bad == 0:
            for i in range(count):
                index = indices[i]
                index = index + rows if index < 0 else index
                order[starts[index + 1]] = i
                starts[index + 1] += 1
        failed[0] = bad


def add_to(out: Any, values: Any) -> None:
    """Add the numbers of a row."""
    for i in range(out.size):
        out[i] += values[i]


def clear(out: Any) -> None:
    """Fill a row with 0."""
    for i in range(out.size):
        out[i] = T(0)


def copy_to(out: Any, values: Any) -> None:
    """Copy a row."""
    for i in range(out.size):
        out[i] = values[i]


def _sum_rows(
    values: Any, order: Any, starts: Any, out: Any, count: int, rows: int, inner: int, start: int, stop: int
) -> None:
    outer, r = start // rows, start % rows
    for item in range(start, stop):
        first, end = starts[r], starts[r + 1]
        if inner == 1:
            total = T(0)
            for place in range(first, end):
                total += values[outer * count + order[place]]
            out[item] = total
        else:
            row = out[item * inner : item * inner + inner]
            clear(row)
            for place in range(first, end):
                at = (outer * count + order[place]) * inner
                add_to(row, values[at : at + inner])
        r += 1
        if r == rows:
            outer, r = outer + 1, 0


def _take(
    x: Any, indices: Any, out: Any, failed: Any, count: int, rows: int, inner: int, start: int, stop: int
) -> None:
    outer, place = start // count, start % count
    for item in range(start, stop):
        index = indices[place]
        index = index + rows if index < 0 else index
        if index < 0 or index >= rows:
            failed[0] = 1
        else:
            at = (outer * rows + index) * inner
            if inner == 1:
                out[item] = x[at]
            else:
                copy_to(out[item * inner : item * inner + inner], x[at : at + inner])
        place += 1
        if place == count:
            outer, place = outer + 1, 0


def _take_along(
    x: Any, indices: Any, out: Any, failed: Any, count: int, rows: int, inner: int, start: int, stop: int
) -> None:
    for item in range(start, stop):  # an item is a row of indices, of all columns
        outer = item // count
        chosen, row = indices[item * inner : item * inner + inner], out[item * inner : item * inner + inner]
        source = x[outer * rows * inner : (outer + 1) * rows * inner]
        for i in range(row.size):
            index = chosen[i]
            index = index + rows if index < 0 else index
            if index < 0 or index >= rows:
                failed[0] = 1
            else:
                row[i] = source[index * inner + i]


def _take_last(x: Any, indices: Any, out: Any, failed: Any, count: int, rows: int, start: int, stop: int) -> None:
    for item in range(start, stop):
        chosen, row = indices[item * count : item * count + count], out[item * count : item * count + count]
        source = x[item * rows : item * rows + rows]
        for i in range(row.size):
            index = chosen[i]
            index = index + rows if index < 0 else index
            if index < 0 or index >= rows:
                failed[0] = 1
            else:
                row[i] = source[index]


def _scatter_add(
    values: Any, indices: Any, out: Any, failed: Any, count: int, rows: int, inner: int, width: int, blocks: int,
    start: int, stop: int,
) -> None:  # fmt: skip
    for item in range(start, stop):  # an item is a block of columns
        outer, first = item // blocks, item % blocks * width
        size = min(width, inner - first)
        for r in range(rows):
            at = (outer * rows + r) * inner + first
            clear(out[at : at + size])
        for j in range(count):
            at = (outer * count + j) * inner + first
            chosen, terms = indices[at : at + size], values[at : at + size]
            target = out[outer * rows * inner + first : (outer + 1) * rows * inner]
            for i in range(terms.size):
                index = chosen[i]
                index = index + rows if index < 0 else index
                if index < 0 or index >= rows:
                    failed[0] = 1
                else:
                    target[index * inner + i] += terms[i]


def _scatter_last(
    values: Any, indices: Any, out: Any, failed: Any, count: int, rows: int, start: int, stop: int
) -> None:
    for item in range(start, stop):
        chosen, terms = indices[item * count : item * count + count], values[item * count : item * count + count]
        target = out[item * rows : item * rows + rows]
        clear(target)
        for i in range(terms.size):
            index = chosen[i]
            index = index + rows if index < 0 else index
            if index < 0 or index >= rows:
                failed[0] = 1
            else:
                target[index] += terms[i]


GROUP = Kernel(_group, "i8[] i8[] i8[] i8[] int int", name="index_groups")
SUM_ROWS = Kernel(_sum_rows, "T[] i8[] i8[] T[] int int int", name="index_add")
TAKE = Kernel(_take, "T[] i8[] T[] i8[] int int int", name="take")
TAKE_ALONG = Kernel(_take_along, "T[] i8[] T[] i8[] int int int", name="take_along_axis")
TAKE_LAST = Kernel(_take_last, "T[] i8[] T[] i8[] int int", name="take_along_last_axis")
SCATTER_LAST = Kernel(_scatter_last, "T[] i8[] T[] i8[] int int", name="scatter_add_last_axis")
SCATTER_ADD = Kernel(_scatter_add, "T[] i8[] T[] i8[] int int int int int", name="scatter_add")


# -- the kernels -------------------------------------------------------------------------------------------------------
def _integers(indices: Array) -> Array:
    """The indices as the loops take them."""
    return flat(indices if indices.dtype == _INT64 else indices.astype(_INT64))


def _fits(x: Any, indices: Any) -> bool:
    """Whether these are arrays of NumPy, the second one of integers that int64 holds."""
    if not type(x) is type(indices) is numpy.ndarray:
        return False
    return indices.dtype.kind in "iu" and numpy.can_cast(indices.dtype, _INT64)


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Any:
    size = max(values.size, prod(shape))
    if size < LEAST or not values.size or not _fits(values, indices):
        return NotImplemented
    launch, group = SUM_ROWS.of(values.dtype, size), GROUP.of(_FLOAT32, size)
    if launch is None or group is None:
        return NotImplemented
    axis %= len(shape)
    rows, inner, count = shape[axis], prod(shape[axis + 1 :]), values.shape[axis]
    starts, order, failed = numpy.empty(rows + 2, _INT64), numpy.empty(count, _INT64), numpy.zeros(1, _INT64)
    group(1, 1, _integers(indices), starts, order, failed, count, rows)
    if failed[0]:
        return NotImplemented  # NumPy raises the error
    out = numpy.empty(shape, values.dtype)
    launch(prod(shape[:axis]) * rows, size, flat(values), order, starts, out, count, rows, inner)
    return out


def scatter_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Any:
    axis %= len(shape)
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    size = max(prod(full), prod(shape))
    if size < LEAST or not _fits(values, indices) or not prod(full):
        return NotImplemented
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    launch = (SCATTER_LAST if inner == 1 else SCATTER_ADD).of(values.dtype, size * _COST)
    if launch is None:
        return NotImplemented
    indices, values = (a if a.shape == full else numpy.broadcast_to(a, full) for a in (indices, values))
    indices, values = _integers(indices), flat(values)
    out, failed = numpy.empty(shape, values.dtype), numpy.zeros(1, _INT64)
    if inner == 1:
        launch(outer, size * _COST, values, indices, out, failed, full[axis], shape[axis])
    else:
        width = inner if outer > _ROWS else min(inner, _COLUMNS)
        blocks = -(-inner // width)
        launch(
            outer * blocks, size * _COST, values, indices, out, failed, full[axis], shape[axis], inner, width, blocks
        )  # fmt: skip
    return NotImplemented if failed[0] else out


def put_add(values: Array, shape: tuple[int, ...], key: Any) -> Any:
    parts = key if type(key) is tuple else (key,)
    if values.size < LEAST or not parts or not all(_fits(values, part) for part in parts):
        return NotImplemented
    chosen = shape[: len(parts)]
    if len(parts) == 1:
        indices = parts[0]
    else:  # one number for the indices of all axes
        wide = [part.astype(_INT64) for part in parts]  # a narrow dtype may not hold the size of an axis
        wrapped = [numpy.where(part < 0, part + n, part) for part, n in zip(wide, chosen, strict=True)]
        if any(part.size and not 0 <= part.min() <= part.max() < n for part, n in zip(wrapped, chosen, strict=True)):
            return NotImplemented
        indices = numpy.zeros((), _INT64)
        for part, n in zip(wrapped, chosen, strict=True):
            indices = indices * n + part
    inner = prod(shape[len(parts) :])
    values = numpy.broadcast_to(values, (*indices.shape, *shape[len(parts) :])).reshape(indices.size, inner)
    out = index_add(values, indices.reshape(-1), (prod(chosen), inner), 0)
    return out if out is NotImplemented else out.reshape(shape)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Any:
    if x.size < LEAST or not _fits(x, indices) or indices.ndim != 1 or (axis is None and x.ndim != 1):
        return NotImplemented
    axis = 0 if axis is None else axis % x.ndim
    rows, count = x.shape[axis], indices.size
    inner, outer = prod(x.shape[axis + 1 :]), prod(x.shape[:axis])
    size = outer * count * inner
    # in one thread, NumPy is as fast; and a copy of all of x would take longer
    if size < LEAST_TAKEN or threads.get_num_threads() < 2 or not x.flags.c_contiguous:
        return NotImplemented
    launch = TAKE.of(x.dtype, size)
    if launch is None:
        return NotImplemented
    out, failed = numpy.empty((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype), numpy.zeros(1, _INT64)
    launch(outer * count, size, flat(x), _integers(indices), out, failed, count, rows, inner)
    return NotImplemented if failed[0] else out


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Any:
    if indices.size < LEAST or not _fits(x, indices) or x.ndim != indices.ndim or not x.ndim:
        return NotImplemented
    axis %= x.ndim
    rows, count = x.shape[axis], indices.shape[axis]
    if x.shape[:axis] != indices.shape[:axis] or x.shape[axis + 1 :] != indices.shape[axis + 1 :]:
        return NotImplemented
    inner, outer, size = prod(x.shape[axis + 1 :]), prod(x.shape[:axis]), indices.size * _COST
    launch = (TAKE_LAST if inner == 1 else TAKE_ALONG).of(x.dtype, size)
    if launch is None:
        return NotImplemented
    out, failed = numpy.empty(indices.shape, x.dtype), numpy.zeros(1, _INT64)
    x, indices = flat(x), _integers(indices)
    if inner == 1:
        launch(outer, size, x, indices, out, failed, count, rows)
    else:
        launch(outer * count, size, x, indices, out, failed, count, rows, inner)
    return NotImplemented if failed[0] else out


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (index_add, scatter_add, put_add, take, take_along_axis)
}
