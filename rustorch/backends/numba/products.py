"""Sums of products, compiled: matrix products of arrays that lie anywhere, shared between rustorch's threads.

Nothing is copied before a product but parts of one matrix, a panel at a time, into the cache; or all of it, once for
many products (`pack`). The copy follows tables of places, so the columns that a convolution multiplies with are never
made. In one thread, products of matrices with at least some dozens of rows and columns take about as long as
OpenBLAS's; but rustorch's threads share these without the interpreter's lock, and no thread of OpenBLAS's waits on
their cores afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy

from ..threads import get_num_threads
from .processor import tile_shape, tile_width

if TYPE_CHECKING:
    from ..base import Array

#: Tables with this many places at most are kept, some hundreds of them.
SHORT = 1 << 13


def steps(count: int, step: int = 1) -> Array:
    """The places of ``count`` elements that are ``step`` apart."""
    return _short_steps(count, step) if count <= SHORT else _new_steps(count, step)


def _new_steps(count: int, step: int) -> Array:
    return numpy.arange(count, dtype=numpy.int64) * step


_short_steps = lru_cache(maxsize=512)(_new_steps)


class Operand(NamedTuple):
    """Where the elements of a matrix lie in an array: at the sum of a row's and a column's place.

    Attributes
    ----------
    array : array
        In one piece. `plan_work` does not need it.
    rows, columns : array of int64
        For the first matrix its rows and the depth, for the second one the depth and its columns.
    group, set : int
        How far apart the matrices of two groups are, and those of two sets of groups.
    outer : int
        How far apart repetitions of the depth's table are.
    sample : int
        How far apart repetitions of the columns' table are.
    spare : bool
        Whether elements behind the last one may be read: less than 2 times as many as a tile has columns.
    """

    array: Array
    rows: Array
    columns: Array
    group: int = 0
    outer: int = 0
    sample: int = 0
    spare: bool = False
    set: int = 0


class Result(NamedTuple):
    """Where the elements of a product go: at the sum of a row's and a column's place.

    Attributes
    ----------
    array : array
        In one piece. `plan_work` does not need it.
    rows : int or array of int64
        How far apart rows are, or where they are, in ascending order.
    columns : array of int64
        -1 for a column that is not written.
    group, sample, set : int
        As those of `Operand`.
    adds : bool
        Whether the product is added to what is there.
    bias : (array, group, row, column) or None
        What is added, and how far apart its elements for groups, rows and columns are.
    sums : {"", "rows", "columns"}
        Which sums are computed, too: those of the first matrix's rows, or of the second one's columns. With "columns",
        the second matrix has no spare elements. If the product is added to what is there, so are the sums.
    """

    array: Array
    rows: int | Array
    columns: Array
    group: int = 0
    sample: int = 0
    adds: bool = False
    bias: tuple[Array, int, int, int] | None = None
    set: int = 0
    sums: str = ""


def in_steps(x: Array) -> bool:
    """Whether the places of the elements of an array are whole numbers from its first one on."""
    return x.flags.aligned and whole(x.strides, x.itemsize)


def whole(strides: Sequence[int], itemsize: int) -> bool:
    """Whether steps in bytes are whole numbers of elements, forwards."""
    return all(step >= 0 and step % itemsize == 0 for step in strides)


def pack(launch: Callable[..., None], b: Operand) -> Operand:
    """The second matrix of products as panels, for kernels that multiply with it often.

    Its array is (panels, depth, columns of a tile), and its last columns are repeated.
    """
    depth, columns, width = len(b.rows), len(b.columns), tile_width(b.array.itemsize)
    out = numpy.empty((-(-columns // width), depth, width), b.array.dtype)
    launch(len(out), out.size, b.array, b.rows, b.columns, out, depth, columns)
    places = (steps(len(out), depth * width)[:, None] + steps(width)).reshape(-1)
    return Operand(out, steps(depth, width), places[:columns], spare=True)


def matrix(x: Array) -> Operand:
    """An operand that is a matrix."""
    x = x if in_steps(x) else x.copy()
    return Operand(x, *[steps(n, step // x.itemsize) for n, step in zip(x.shape, x.strides, strict=True)])


class Work(NamedTuple):
    """How a product is shared between threads, and what the kernel needs to know of it.

    Attributes
    ----------
    items, multiplications : int
        For the launch.
    splits : int
        In how many parts the depth is cut. Each part has a result of its own.
    rows : array of int64
        Where the result's rows are.
    numbers : array of int64
    """

    items: int
    multiplications: int
    splits: int
    rows: Array
    numbers: Array


def plan_work(
    a: Operand, b: Operand, c: Result, itemsize: int, size: int, threads: int, groups: int = 1, samples: int = 1,
    depth: int = 0, sets: int = 1,
) -> Work:  # fmt: skip
    """Share a product between ``threads``. ``size`` is that of the result's array; no array is looked at. For the rest
    see `multiply`.
    """
    rows, each, table = len(a.rows), len(b.columns), len(b.rows)
    depth = depth or table
    total = each * samples
    panels, parts, splits = -(-total // tile_width(itemsize)), 1, 1
    outers, in_set, groups = -(-depth // table), groups, groups * sets
    if threads > 1 and groups * panels < 2 * threads:
        wanted = -(-2 * threads // (groups * panels))
        covers = groups * rows * total == size and c.bias is None
        if outers > 1 and covers and size * wanted <= 1 << 20:
            splits = min(outers, wanted)
        else:
            parts = min(-(-rows // tile_shape()[0]), max(-(-threads // (groups * panels)), min(wanted, rows // 128)))
    elif threads > 1 and groups == 1 and rows >= 128 * threads:
        parts = threads  # a thread writes the same rows as in the product before, and finds those in its cache
    adds, split_c = (c.adds, 0) if splits == 1 else (False, size)
    _, *bias_steps = c.bias or (None, 0, 0, 0)
    row, rows_c = (c.rows, steps(rows, c.rows)) if isinstance(c.rows, int) else (0, c.rows)
    numbers = numpy.array(
        [
            rows, parts, each, total, panels, b.sample, c.sample, a.group, b.group, c.group, table, depth, a.outer,
            b.outer, row, adds, *bias_steps, splits, split_c, b.spare,
            in_set, a.set, b.set, c.set, c.sums == "rows", c.sums == "columns",
            groups * (rows if c.sums == "rows" else total),
        ],
        numpy.int64,
    )  # fmt: skip
    return Work(groups * splits * parts * panels, groups * rows * total * depth // 16, splits, rows_c, numbers)


def multiply(
    launch: Callable[..., None], a: Operand, b: Operand, c: Result, groups: int = 1, samples: int = 1, depth: int = 0,
    sets: int = 1, sums: Array | None = None,
) -> None:  # fmt: skip
    """Multiply matrices, and share the work between the threads.

    Parameters
    ----------
    launch : callable
        `MULTIPLY`, compiled.
    a, b : Operand
    c : Result
    groups : int
        The number of matrices.
    samples : int
        How often the columns' tables are repeated.
    depth : int
        The length of the sums, if it is not that of the depth's tables: these are repeated then.
    sets : int
        The number of sets of groups.
    sums : array, optional
        For the sums that ``c`` asks for, those of all groups one after another. There must be one set of groups.
    """
    work = plan_work(a, b, c, c.array.itemsize, c.array.size, get_num_threads(), groups, samples, depth, sets)
    targets = [c.array] if sums is None else [c.array, sums]
    outs = targets if work.splits == 1 else [numpy.empty((work.splits, *x.shape), x.dtype) for x in targets]
    launch(
        work.items, work.multiplications, a.array, a.rows, a.columns, b.array, b.rows, b.columns, outs[0], work.rows,
        c.columns, None if c.bias is None else c.bias[0], None if sums is None else outs[1], work.numbers,
    )  # fmt: skip
    if work.splits > 1:
        for target, parts in zip(targets, outs, strict=True):
            if c.adds:
                numpy.add(target, numpy.add.reduce(parts), target)
            else:
                numpy.add.reduce(parts, 0, out=target)
