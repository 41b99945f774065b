"""The loops of compiled products. See `products`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .kernel import Kernel

if TYPE_CHECKING:
    from .reductions import part, plus, scratch
    from .tile import copy_row, copy_run, fetch, put_turned, tile, tile_columns, tile_rows, turn

    T: Any = float


def _fill(
    panel: Any, b: Any, at: int, depths: Any, depth: int, length: int, places: Any, parts: int, count: int, width: int
) -> None:
    """Copy ``length`` rows of the second matrix to a panel. Elements that lie side by side are ``parts`` vectors."""
    if parts > 16:
        fill_apart(panel, b, at, depths, depth, length, places, count, width)
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


def fill_apart(
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


def _are_even(places: Any, first: int, length: int) -> bool:
    """Whether these places go in even steps."""
    step = places[first + min(length - 1, 1)] - places[first]
    uneven = 0
    for k in range(1, length):
        uneven |= places[first + k] - places[first + k - 1] - step
    return uneven == 0


def clear(row: Any) -> None:
    """Fill an array with 0."""
    for i in range(row.size):
        row[i] = T(0.0)


def _put(
    block: Any, c: Any, target: int, rows_c: Any, row: int, rows: int, outputs: Any, count: int, width: int, adds: int
) -> None:
    """Write a tile to places that do not lie side by side, or add it to what is there. Those below 0 are left out."""
    height = tile_rows()
    for j in range(count):
        if outputs[j] >= 0:
            at = target + outputs[j]
            if rows == height:  # a loop of constant length
                for i in range(height):
                    place = part(c, at + rows_c[row + i], 1)
                    place[0] = (place[0] if adds else T(0.0)) + part(block, i * width + j, 1)[0]
            else:
                for i in range(rows):
                    place = part(c, at + rows_c[row + i], 1)
                    place[0] = (place[0] if adds else T(0.0)) + block[i * width + j]


def _find_columns(
    numbers: Any, first: int, count: int, width: int, columns_b: Any, columns_c: Any, inputs: Any, outputs: Any,
    runs_at: Any,
) -> int:  # fmt: skip
    """Find where the columns of a panel are and go, -1 for nowhere, and where runs of neighbours begin. Returns the
    number of runs.
    """
    each, sample_b, sample_c, spare = numbers[2], numbers[5], numbers[6], numbers[21]
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
        else:  # columns past the last one: with spare elements, those behind it; else the last one again
            inputs[j], outputs[j] = inputs[j - 1] + spare, -1
        if (j == 0) | (inputs[j] != inputs[max(j - 1, 0)] + 1):
            runs_at[runs] = j
            runs += 1
    return runs


def _find_vectors(outputs: Any, lanes: int, row: int, places: Any, counts: Any) -> int:
    """Find where the vectors of a tile go, and how many of their columns. Returns how many vectors are written; times
    -1 if they cannot be written as they are: if the columns of one do not lie side by side, if one that goes nowhere
    is not at the end, or if rows are not ``row`` apart, but anywhere, which is ``row`` 0.
    """
    whole, breadth = row != 0, 1
    for v in range(2):
        end, last = v * lanes, (v + 1) * lanes
        while (end < last) & (outputs[min(end, last - 1)] >= 0):
            end += 1
        places[v], counts[v] = max(outputs[v * lanes], 0), end - v * lanes
        whole &= _side_by_side(outputs, v * lanes, end)
        for j in range(end, last):
            whole &= outputs[j] < 0
        for j in range(v * lanes, last):
            if outputs[j] >= 0:
                breadth = v + 1
    if whole:
        return breadth
    places[0], places[1], counts[0], counts[1] = 0, lanes, lanes, lanes
    return -breadth


def _tiles(
    a: Any, at_a: int, rows_a: Any, first_row: int, end_row: int, depths_a: Any, depth: int, length: int, second: Any,
    table_b: Any, line: int, begins: Any, c: Any, target: int, rows_c: Any, block: Any, outputs: Any, places: Any,
    counts: Any, breadth: int, adds: int, width: int, row_c: int, terms: Any, nothing: Any, bias: Any, at_bias: int,
    of_row: int, even: int,
) -> None:  # fmt: skip
    """Compute the tiles of a panel for some rows and a part of the depth. A long part is cut into pieces with sums of
    their own: the error of a sum grows with the number of its terms.
    """
    height, direct, most = tile_rows(), breadth > 0, min(8192 // width, 512)
    pieces = (length + most - 1) // most
    for i in range(first_row, end_row, height):
        n = min(height, end_row - i)
        for q in range(i + height, min(i + 2 * height, end_row)):  # where the next rows begin; the processor goes on
            ahead = at_a + rows_a[q] + depths_a[depth]
            for k in range(0, min(length // 4, 64), 16):
                fetch(a, ahead + k)
        result, at_c, step, more = (c, target + rows_c[i], row_c, adds) if direct else (block, 0, width, 0)
        for piece in range(pieces):
            begin, end = length * piece // pieces, length * (piece + 1) // pieces
            added = terms if piece == pieces - 1 else nothing
            if abs(breadth) == 1:
                tile(a, at_a, rows_a, i, n, depths_a, depth + begin, end - begin, second, table_b, line + begin, begins,
                     result, places, at_c, step, counts, more, added, even, 1)  # fmt: skip
            else:
                tile(a, at_a, rows_a, i, n, depths_a, depth + begin, end - begin, second, table_b, line + begin, begins,
                     result, places, at_c, step, counts, more, added, even, 2)  # fmt: skip
            more = 1
        if of_row:
            _add_to_rows(result, at_c, step, n, bias, at_bias + i * of_row, of_row, places, counts, abs(breadth))
        if direct:
            continue
        if (n < height) | (rows_c[i + n - 1] != rows_c[i] + height - 1):
            _put(block, c, target, rows_c, i, n, outputs, width, width, adds)
        elif breadth == -1:
            put_turned(block, c, target + rows_c[i], outputs, adds, 1)
        else:
            put_turned(block, c, target + rows_c[i], outputs, adds, 2)


def _add_to_rows(
    c: Any, at: int, step: int, rows: int, bias: Any, at_bias: int, of_row: int, places: Any, counts: Any, breadth: int
) -> None:
    """Add a number to each row of a tile."""
    for i in range(rows):
        more = bias[at_bias + i * of_row]
        for v in range(breadth):
            line = part(c, at + i * step + places[v], counts[v])
            for j in range(line.size):
                line[j] += more


def _sum_rows(
    a: Any, at: int, rows: Any, first: int, end: int, depths: Any, depth: int, length: int, sums: Any, adds: int,
    block: Any,
) -> None:  # fmt: skip
    """Sum some terms of rows of the first matrix, or add them to the sums that are there."""
    if _side_by_side(rows, first, end):
        for i in range(first, end, 256):
            count = min(256, end - i)
            _sum_lines(a, at + rows[i], depths, depth, length, part(block, 0, count))
            _put_sums(sums, i, part(block, 0, count), adds)
        return
    if not adds:
        clear(part(sums, first, end - first))
    k = 0
    while k < length:
        run = k + 1
        while (run < length) & (depths[depth + min(run, length - 1)] == depths[depth + run - 1] + 1):
            run += 1
        for i in range(first, end):
            line, total = part(a, at + rows[i] + depths[depth + k], run - k), T(0.0)
            for j in range(line.size):
                total = plus(total, line[j])
            sums[i] += total
        k = run


def _sum_columns(panel: Any, lines: Any, length: int, width: int, sums: Any, adds: int, block: Any) -> None:
    """Sum the columns of a panel, or add them to the sums that are there."""
    totals = part(block, 0, width)
    _sum_lines(panel, 0, lines, 0, length, totals)
    _put_sums(sums, 0, part(totals, 0, sums.size), adds)


def _sum_lines(a: Any, at: int, depths: Any, depth: int, length: int, totals: Any) -> None:
    """Sum lines of neighbours, four at a time."""
    clear(totals)
    for k in range(0, length - 3, 4):
        one, two = part(a, at + depths[depth + k], totals.size), part(a, at + depths[depth + k + 1], totals.size)
        three, four = part(a, at + depths[depth + k + 2], totals.size), part(a, at + depths[depth + k + 3], totals.size)
        for j in range(totals.size):
            totals[j] += one[j] + two[j] + (three[j] + four[j])
    for k in range(length // 4 * 4, length):
        line = part(a, at + depths[depth + k], totals.size)
        for j in range(totals.size):
            totals[j] += line[j]


def _put_sums(sums: Any, at: int, totals: Any, adds: int) -> None:
    for j in range(totals.size):
        sums[at + j] = totals[j] + (sums[at + j] if adds else T(0.0))


def _multiply(
    a: Any, rows_a: Any, depths_a: Any, b: Any, depths_b: Any, columns_b: Any, c: Any, rows_c: Any, columns_c: Any,
    bias: Any, sums: Any, numbers: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """An item is a panel of columns, for a range of rows, a range of the depth, a group, and a set of groups."""
    rows, parts, total, panels, splits, spare = (
        numbers[0], numbers[1], numbers[3], numbers[4], numbers[19], numbers[21],
    )  # fmt: skip
    table, whole, adds = numbers[10], numbers[11], numbers[15]
    width, height = tile_columns(T(0.0)), tile_rows()
    lanes, most = width // 2, min(8192 // width, 512)
    panel, block, added, nothing = scratch(T(0.0), 8256), scratch(T(0.0), 512), scratch(T(0.0), 64), scratch(T(0.0), 64)
    inputs, outputs, runs_at, lines = scratch(0, 64), scratch(0, 64), scratch(0, 64), scratch(0, 512)
    begins, places, counts = scratch(0, 2), scratch(0, 2), scratch(0, 2)
    clear(nothing)
    for k in range(most):
        lines[k] = k * width
    tiles, outers = (rows + height - 1) // height, (whole + table - 1) // table
    for item in range(start, stop):
        number, rest = item % panels, item // panels
        share, rest = rest % parts, rest // parts
        split, rest = rest % splits, rest // splits
        group, set_ = rest % numbers[22], rest // numbers[22]
        first_row, end_row = tiles * share // parts * height, min(tiles * (share + 1) // parts * height, rows)
        first = number * width
        count = min(width, total - first)
        runs = _find_columns(numbers, first, count, width, columns_b, columns_c, inputs, outputs, runs_at)
        breadth, pieces = _find_vectors(outputs, lanes, numbers[14], places, counts), _parts(inputs, width)
        direct = (spare != 0) & _side_by_side(inputs, 0, lanes)
        direct &= (abs(breadth) == 1) | _side_by_side(inputs, lanes, width)
        if (pieces > 16) & (count < width):  # no column is copied there, and denormal numbers of old ones are slow
            clear(panel[0 : min(most, min(table, whole)) * width])
        at_bias = group * numbers[16]
        for j in range(width):
            added[j] = bias[at_bias + (first + j) % numbers[2] * numbers[18]] if numbers[18] else T(0.0)
        target = set_ * numbers[25] + group * numbers[9] + split * numbers[20]
        begin, end = outers * split // splits * table, min(outers * (split + 1) // splits * table, whole)
        for base in range(begin, end, table):
            at_a = set_ * numbers[23] + group * numbers[7] + base // table * numbers[12]
            at_b = set_ * numbers[24] + group * numbers[8] + base // table * numbers[13]
            long = min(table, whole - base)
            blocks = 1 if direct else (long + most - 1) // most
            for index in range(blocks):
                depth = long * index // blocks
                length = long * (index + 1) // blocks - depth
                more = 1 if (adds != 0) | (base + depth > begin) else 0
                begins[0], begins[1] = (at_b + inputs[0], at_b + inputs[lanes]) if direct else (0, lanes)
                if not direct:
                    if (runs <= 8) & (2 * runs <= pieces) & (spare != 0):
                        _fill_runs(panel, b, at_b, depths_b, depth, length, inputs, runs_at, runs, width)
                    else:
                        _fill(panel, b, at_b, depths_b, depth, length, inputs, pieces, count, width)
                second, table_b, line = (b, depths_b, depth) if direct else (panel, lines, 0)
                even = _are_even(depths_a, depth, length) & _are_even(table_b, line, length)
                last = base + depth + length == end  # the bias is added at the end, or it would round each sum
                _tiles(a, at_a, rows_a, first_row, end_row, depths_a, depth, length, second, table_b, line, begins, c,
                       target, rows_c, block, outputs, places, counts, breadth, more, width, numbers[14],
                       added if last else nothing, nothing, bias, at_bias, numbers[17] if last else 0,
                       even)  # fmt: skip
                if numbers[26] & (number == 0):  # the elements are in the cache
                    _sum_rows(a, at_a, rows_a, first_row, end_row, depths_a, depth, length,
                              part(sums, split * numbers[28] + group * rows, rows), more, block)  # fmt: skip
                elif numbers[27] & (share == 0):
                    _sum_columns(panel, lines, length, width, part(sums, split * numbers[28] + group * total + first,
                                 count), more, block)  # fmt: skip


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
MULTIPLY = Kernel(_multiply, "T[] i8[] i8[] T[] i8[] i8[] T[] i8[] i8[] T[]? T[]? i8[]", name="multiply")
