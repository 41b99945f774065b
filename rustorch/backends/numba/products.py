"""Sums of products, compiled: matrix products of arrays that lie anywhere, shared between rustorch's threads.

For shapes as networks have them, these take 0.6 to 0.9 of the time of OpenBLAS: nothing is copied before the product
but parts of one matrix, a panel at a time, into the first cache. The copy follows tables of places, so the columns that
a convolution multiplies with are never made, and rustorch's threads need no lock of the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from ..threads import get_num_threads
from .kernel import Kernel
from .machine import tile_shape, tile_width

if TYPE_CHECKING:
    from ..base import Array
    from .reductions import scratch
    from .tile import copy_row, copy_run, fetch, tile, tile_columns, tile_rows, turn

    T: Any = float


# -- loops -------------------------------------------------------------------------------------------------------------
def _fill(
    panel: Any, b: Any, at: int, depths: Any, depth: int, length: int, places: Any, parts: int, count: int, width: int
) -> None:
    """Copy ``length`` rows of the second matrix to a panel. Elements that lie side by side are ``parts`` vectors."""
    if parts > 16:
        _fill_apart(panel, b, at, depths, depth, length, places, count, width)
        return
    for k in range(length):
        source, target = at + depths[depth + k], k * width
        if parts == 1:
            copy_row(panel, target, b, source, places, 1)
        elif parts == 2:
            copy_row(panel, target, b, source, places, 2)
        elif parts == 4:
            copy_row(panel, target, b, source, places, 4)
        elif parts == 8:
            copy_row(panel, target, b, source, places, 8)
        else:
            copy_row(panel, target, b, source, places, 16)


def _fill_apart(
    panel: Any, b: Any, at: int, depths: Any, depth: int, length: int, places: Any, count: int, width: int
) -> None:
    """As `_fill`, for columns that lie apart: some rows at a time, so that each line of the cache is read once."""
    for first in range(0, length, 4):
        source, end = at + depths[depth + first], min(first + 4, length)
        begin = 0
        if end - first == 4:
            one, two, three = depths[depth + first + 1], depths[depth + first + 2], depths[depth + first + 3]
            zero = depths[depth + first]
            if (one == zero + 1) & (two == zero + 2) & (three == zero + 3):
                begin = count // 4 * 4
                for j in range(0, begin, 4):
                    turn(panel, first * width + j, width, b, source, places, j)
        for j in range(begin, count):
            for k in range(first, end):
                panel[k * width + j] = b[at + depths[depth + k] + places[j]]


def _fill_runs(
    panel: Any, b: Any, at: int, depths: Any, depth: int, length: int, places: Any, begins: Any, runs: int, width: int
) -> None:
    """As `_fill`, for few runs of elements that lie side by side. As many are copied as a tile has columns: what is too
    much is overwritten by the next run.
    """
    for k in range(length):
        source, target = at + depths[depth + k], k * width
        for r in range(runs):
            copy_run(panel, target + begins[r], b, source + places[begins[r]])


def _parts(places: Any, width: int) -> int:
    """In how many runs of the same length, a power of 2, these places lie."""
    parts, length = 1, width
    for j in range(1, width):
        if places[j] != places[j - 1] + 1:
            while j & (length - 1) != 0:
                parts, length = parts * 2, length // 2
    return parts


def _side_by_side(places: Any, first: int, end: int) -> bool:
    """Whether these places follow each other."""
    for j in range(first + 1, end):  # noqa: SIM110 - Numba compiles no generators
        if places[j] != places[j - 1] + 1:
            return False
    return True


def clear(row: Any) -> None:
    """Fill an array with 0."""
    for i in range(row.size):
        row[i] = T(0.0)


def _put(block: Any, c: Any, place: int, step: int, places: Any, rows: int, count: int, width: int, adds: int) -> None:
    """Write a tile to places that do not lie side by side, or add it to what is there. Those below 0 are left out."""
    if step == 1:
        for j in range(count):
            if places[j] >= 0:
                column = c[place + places[j] : place + places[j] + rows]
                for i in range(column.size):
                    column[i] = (column[i] if adds else T(0.0)) + block[i * width + j]
    else:
        for i in range(rows):
            for j in range(count):
                if places[j] >= 0:
                    p = place + i * step + places[j]
                    c[p] = (c[p] if adds else T(0.0)) + block[i * width + j]


def _multiply(
    a: Any, rows_a: Any, depths_a: Any, b: Any, depths_b: Any, columns_b: Any, c: Any, columns_c: Any, bias: Any,
    numbers: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """Some panels of a product. An item is a panel, for some rows, some part of the depth, and a group."""
    rows, parts, each, total, panels = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    sample_b, sample_c, group_a, group_b, group_c = numbers[5], numbers[6], numbers[7], numbers[8], numbers[9]
    table, whole, outer_a, outer_b, row_c, adds = (
        numbers[10], numbers[11], numbers[12], numbers[13], numbers[14], numbers[15],
    )  # fmt: skip
    has_bias, bias_group, bias_row, bias_column = numbers[16], numbers[17], numbers[18], numbers[19]
    splits, split_c, spare = numbers[20], numbers[21], numbers[22]
    width, height = tile_columns(T(0.0)), tile_rows()
    lanes, most = width // 2, min(16384 // width, 512)
    panel, block, added = scratch(T(0.0), 16448), scratch(T(0.0), 512), scratch(T(0.0), 64)
    inputs, outputs, runs_at, lines = scratch(0, 64), scratch(0, 64), scratch(0, 64), scratch(0, 512)
    begins, places, counts = scratch(0, 2), scratch(0, 2), scratch(0, 2)
    for k in range(most):
        lines[k] = k * width
    tiles, outers = (rows + height - 1) // height, (whole + table - 1) // table
    for item in range(start, stop):
        number, rest = item % panels, item // panels
        part, rest = rest % parts, rest // parts
        split, group = rest % splits, rest // splits
        first_row, end_row = tiles * part // parts * height, min(tiles * (part + 1) // parts * height, rows)
        first = number * width
        count = min(width, total - first)
        sample = first // each
        position = first - sample * each
        runs = 0
        for j in range(width):
            if j < count:
                inputs[j], place = sample * sample_b + columns_b[position], columns_c[position]
                outputs[j] = sample * sample_c + place if place >= 0 else -1
                position += 1
                if position == each:
                    position, sample = 0, sample + 1
            else:  # columns that are not there follow the last one that is, or repeat it
                inputs[j], outputs[j] = inputs[j - 1] + spare, -1
            if (j == 0) | (inputs[j] != inputs[max(j - 1, 0)] + 1):
                runs_at[runs] = j
                runs += 1
        # the columns of each vector that are written come first in it, and side by side
        in_place, narrow = True, True
        for v in range(2):
            end = v * lanes
            while (end < (v + 1) * lanes) & (outputs[min(end, width - 1)] >= 0):
                end += 1
            places[v], counts[v] = max(outputs[v * lanes], 0), end - v * lanes
            in_place &= _side_by_side(outputs, v * lanes, end)
            for j in range(end, (v + 1) * lanes):
                in_place &= outputs[j] < 0
            narrow &= (v == 0) | (counts[v] == 0)
        direct = (spare != 0) & _side_by_side(inputs, 0, lanes) & (narrow | _side_by_side(inputs, lanes, width))
        pieces = _parts(inputs, width)
        if (pieces > 16) & (count < width):  # columns that are not there are not written, and tiny numbers are slow
            clear(panel[0 : min(most, min(table, whole)) * width])
        if not in_place:
            places[0], places[1], counts[0], counts[1] = 0, lanes, lanes, lanes
        narrow &= in_place
        target = group * group_c + split * split_c
        begin, end = outers * split // splits * table, min(outers * (split + 1) // splits * table, whole)
        for base in range(begin, end, table):
            at_a, at_b = group * group_a + base // table * outer_a, group * group_b + base // table * outer_b
            long = min(table, whole - base)
            blocks = (long + most - 1) // most
            for index in range(blocks):
                depth = long * index // blocks
                length = long * (index + 1) // blocks - depth
                more = 1 if (adds != 0) | (base + depth > begin) else 0
                if direct:
                    begins[0], begins[1] = at_b + inputs[0], at_b + inputs[lanes]
                else:
                    begins[0], begins[1] = 0, lanes
                    if (runs <= 8) & (2 * runs <= pieces) & (spare != 0):
                        _fill_runs(panel, b, at_b, depths_b, depth, length, inputs, runs_at, runs, width)
                    else:
                        _fill(panel, b, at_b, depths_b, depth, length, inputs, pieces, count, width)
                second, table_b, line = (b, depths_b, depth) if direct else (panel, lines, 0)
                for i in range(first_row, end_row, height):
                    n = min(height, end_row - i)
                    for q in range(i + height, min(i + 2 * height, end_row)):  # the processor follows from there
                        ahead = at_a + rows_a[q] + depths_a[depth]
                        for k in range(0, length // 4, 16):
                            fetch(a, ahead + k)
                    place = target + i * row_c
                    result, at_c, step = (c, place, row_c) if in_place else (block, 0, width)
                    adds_up = more if in_place else 0
                    if narrow:
                        tile(a, at_a, rows_a, i, n, depths_a, depth, length, second, table_b, line, begins, result,
                             places, at_c, step, counts, adds_up, 1)  # fmt: skip
                    else:
                        tile(a, at_a, rows_a, i, n, depths_a, depth, length, second, table_b, line, begins, result,
                             places, at_c, step, counts, adds_up, 2)  # fmt: skip
                    if not in_place:
                        _put(block, c, place, row_c, outputs, n, width, width, more)
        if has_bias:
            number_of_bias = group * bias_group
            for j in range(width):
                added[j] = bias[number_of_bias + (first + j) % each * bias_column] if bias_column else T(0.0)
            for i in range(first_row, end_row):
                place, more_of_row = target + i * row_c, T(0.0)
                if bias_row:
                    more_of_row = bias[number_of_bias + i * bias_row]
                if in_place:
                    for v in range(2):
                        line_of_c = c[place + places[v] : place + places[v] + counts[v]]
                        line_of_bias = added[v * lanes : v * lanes + counts[v]]
                        for j in range(line_of_c.size):
                            line_of_c[j] += line_of_bias[j] + more_of_row
                else:
                    for j in range(width):
                        if outputs[j] >= 0:
                            c[place + outputs[j]] += added[j] + more_of_row


def _pack(b: Any, depths: Any, columns: Any, out: Any, depth: int, count: int, start: int, stop: int) -> None:
    """Copy all panels of a matrix. An item is a panel. The columns after the last one repeat it."""
    width = tile_columns(T(0.0))
    places = scratch(0, 64)
    for item in range(start, stop):
        for j in range(width):
            places[j] = columns[min(item * width + j, count - 1)]
        _fill(out[item * depth * width : (item + 1) * depth * width], b, 0, depths, 0, depth, places,
              _parts(places, width), width, width)  # fmt: skip


PACK = Kernel(_pack, "T[] i8[] i8[] T[] int int", name="pack")
MULTIPLY = Kernel(_multiply, "T[] i8[] i8[] T[] i8[] i8[] T[] i8[] T[]? i8[]", name="multiply")


# -- the product -------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def steps(count: int, step: int = 1) -> Array:
    """The places of ``count`` elements that are ``step`` apart."""
    return numpy.arange(count, dtype=numpy.int64) * step


class Operand(NamedTuple):
    """Where the elements of a matrix lie in an array: at the sum of a row's and a column's place.

    Attributes
    ----------
    array : array
        In one piece.
    rows, columns : array of int64
        For the first matrix its rows and the depth, for the second one the depth and its columns.
    group : int
        How far apart the matrices of two groups are.
    outer : int
        How far apart repetitions of the depth's table are.
    sample : int
        How far apart repetitions of the columns' table are.
    spare : bool
        Whether elements behind the last one may be read, as many as a tile has columns.
    """

    array: Array
    rows: Array
    columns: Array
    group: int = 0
    outer: int = 0
    sample: int = 0
    spare: bool = False


class Result(NamedTuple):
    """Where the elements of a product go: at ``i * row`` plus the place of column j.

    Attributes
    ----------
    array : array
        In one piece.
    row : int
    columns : array of int64
    group, sample : int
        As those of `Operand`.
    adds : bool
        Whether the product is added to what is there.
    bias : (array, group, row, column) or None
        What is added, and how far apart its elements for groups, rows and columns are.
    """

    array: Array
    row: int
    columns: Array
    group: int = 0
    sample: int = 0
    adds: bool = False
    bias: tuple[Array, int, int, int] | None = None


def pack(launch: Callable[..., None], b: Array) -> Array:
    """A matrix as panels, (panels, rows, columns of a tile), for bodies of kernels that multiply with it often."""
    (depth, columns), size, width = b.shape, b.itemsize, tile_width(b.itemsize)
    out = numpy.empty((-(-columns // width), depth, width), b.dtype)
    launch(len(out), out.size, b, steps(depth, b.strides[0] // size), steps(columns, b.strides[1] // size), out, depth,
           columns)  # fmt: skip
    return out


def multiply(
    launch: Callable[..., None], a: Operand, b: Operand, c: Result, groups: int = 1, samples: int = 1, depth: int = 0
) -> None:
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
    """
    rows, each, table = len(a.rows), len(b.columns), len(b.rows)
    depth = depth or table
    total = each * samples
    panels, parts, splits, threads = -(-total // tile_width(c.array.itemsize)), 1, 1, get_num_threads()
    target, split_c = c, 0
    outers = -(-depth // table)
    if threads > 1 and groups * panels < 2 * threads:
        wanted = -(-2 * threads // (groups * panels))
        covers = groups * rows * total == c.array.size and c.bias is None
        if outers > 1 and covers and c.array.size * wanted <= 1 << 20:
            splits = min(outers, wanted)
        else:
            parts = min(-(-rows // tile_shape()[0]), max(-(-threads // (groups * panels)), min(wanted, rows // 128)))
    if splits > 1:
        split_c = c.array.size
        target = c._replace(array=numpy.empty((splits, *c.array.shape), c.array.dtype), adds=False)
    bias, *bias_steps = c.bias or (None, 0, 0, 0)
    numbers = numpy.array(
        [
            rows, parts, each, total, panels, b.sample, c.sample, a.group, b.group, c.group, table, depth, a.outer,
            b.outer, c.row, target.adds, bias is not None, *bias_steps, splits, split_c, b.spare,
        ],
        numpy.int64,
    )  # fmt: skip
    launch(
        groups * splits * parts * panels, groups * rows * total * depth // 16, a.array, a.rows, a.columns, b.array,
        b.rows, b.columns, target.array, c.columns, bias, numbers,
    )  # fmt: skip
    if splits > 1:
        if c.adds:
            numpy.add(c.array, numpy.add.reduce(target.array), c.array)
        else:
            numpy.add.reduce(target.array, 0, out=c.array)
