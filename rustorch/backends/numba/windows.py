"""Compiled copies between images and the columns that convolutions multiply with: im2col, its transpose, and swaps.

Columns are the inputs of each output position: a row for each channel and each place of the kernel, with one element
for each position. Images of one and two dimensions are treated as volumes whose first sizes are 1.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from .kernel import Kernel

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes

    T: Any = float


class Geometry(NamedTuple):
    """Where a kernel meets an image.

    Attributes
    ----------
    numbers : array of int64
        Sizes, kernel, stride, padding before, dilation and sizes of the output, three each: what the loops need.
    size : tuple
        The spatial sizes of the output.
    positions, taps, plane : int
        The number of positions of the output, of places of the kernel, and of elements of a channel of the input.
    reach : array of int64
        Over how many places of a channel with its padding the kernel reaches, in three dimensions.
    table : array of int32, (taps, positions), or None
        For small images, the place of each element of the columns in its channel; -1 for padding.
    """

    numbers: Array
    size: Sizes
    positions: int
    taps: int
    plane: int
    reach: Array
    table: Array | None


@lru_cache(maxsize=512)
def geometry(size: Sizes, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes) -> Geometry:
    """The geometry for spatial sizes of an input."""
    outs = tuple(
        [
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
        ]
    )
    before = tuple([first for first, _ in padding])
    ones, zeros = (1,) * (3 - len(size)), (0,) * (3 - len(size))
    parts = [(ones, size), (ones, kernel), (ones, stride), (zeros, before), (ones, dilation), (ones, outs)]
    numbers = numpy.array([lead + part for lead, part in parts], numpy.int64).reshape(-1)
    reach = [(o - 1) * s + d * (k - 1) + 1 for k, s, d, o in zip(kernel, stride, dilation, outs, strict=True)]
    table = None
    if 0 < prod(outs) * prod(kernel) <= TABLE and outs[-1] < SHORT:
        table = _table(size, kernel, stride, before, dilation, outs)
    return Geometry(
        numbers, outs, prod(outs), prod(kernel), prod(size), numpy.array([*ones, *reach], numpy.int64), table
    )


#: Elements of a table of places at most.
TABLE = 1 << 14
#: Rows of the output that are shorter are copied by tables of places.
SHORT = 16


def _table(size: Sizes, kernel: Sizes, stride: Sizes, before: Sizes, dilation: Sizes, outs: Sizes) -> Array:
    places, outside = numpy.zeros((1, 1), numpy.int32), numpy.zeros((1, 1), numpy.bool_)
    for n, k, s, first, d, o in zip(size, kernel, stride, before, dilation, outs, strict=True):
        along = (numpy.arange(k)[:, None] * d + numpy.arange(o) * s - first).astype(numpy.int32)
        places = places[:, None, :, None] * n + along[:, None, :]
        outside = outside[:, None, :, None] | ((along < 0) | (along >= n))[:, None, :]
        places = places.reshape(places.shape[0] * k, places.shape[2] * o)
        outside = outside.reshape(places.shape)
    places[outside] = -1
    return numpy.ascontiguousarray(places)


# -- loops -------------------------------------------------------------------------------------------------------------
def _first_inside(shift: Any, stride: Any, count: Any) -> Any:
    """The first of ``count`` positions whose place, ``position * stride + shift``, is not before the image."""
    first = (stride - 1 - shift) // stride if shift < 0 else 0
    return min(first, count)


def _end_inside(shift: Any, stride: Any, count: Any, size: Any) -> Any:
    """The end of the positions whose place is not behind an image of this size."""
    end = (size - 1 - shift) // stride + 1 if shift < size else 0
    return max(min(end, count), 0)


def _clear(out: Any, start: int, stop: int) -> None:
    for i in range(start, stop):
        out[i] = 0


def _gather(
    x: Any, out: Any, numbers: Any, channels: int, sample_step: int, row_step: int, start: int, stop: int
) -> None:
    """Fill the columns of channels of samples. An item is a channel of a sample.

    The columns of sample n begin at ``n * sample_step``, and its rows are ``row_step`` apart.
    """
    n0, n1, n2, k0, k1, k2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    s0, s1, s2, p0, p1, p2 = numbers[6], numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
    d0, d1, d2, o0, o1, o2 = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
    area = o1 * o2
    flat = (s1 == 1) & (s2 == 1) & (o2 == n2)  # the rows lie as in the image: all of them are copied as one run
    for item in range(start, stop):
        sample = item // channels
        target = sample * sample_step + (item - sample * channels) * k0 * k1 * k2 * row_step
        for tap in range(k0 * k1 * k2):
            f0, f1, f2 = tap // (k1 * k2) * d0 - p0, tap // k2 % k1 * d1 - p1, tap % k2 * d2 - p2
            b1, b2 = _first_inside(f1, s1, o1), _first_inside(f2, s2, o2)
            e1, e2 = _end_inside(f1, s1, o1, n1), _end_inside(f2, s2, o2, n2)
            for a in range(o0):
                z, place = a * s0 + f0, target + a * area
                inside = (z >= 0) & (z < n0) & (b1 < e1) & (b2 < e2)
                first, end = b1 if inside else 0, e1 if inside else 0
                _clear(out, place, place + first * o2)
                _clear(out, place + end * o2, place + area)
                last = min(first + 1, end) if flat else end
                length = (end - first - 1) * o2 + e2 - b2 if flat else e2 - b2
                for b in range(first, last):
                    row = place + b * o2 + b2
                    offset = ((item * n0 + z) * n1 + b * s1 + f1) * n2 + b2 * s2 + f2
                    y = out[row : row + length]
                    if s2 == 1:
                        source = x[offset : offset + length]
                        for i in range(y.size):
                            y[i] = source[i]
                    elif s2 == 2:
                        source = x[offset : offset + 2 * length]
                        for i in range(y.size):
                            y[i] = source[2 * i]
                    else:
                        for i in range(length):
                            out[row + i] = x[offset + i * s2]
                if e2 - b2 < o2:
                    for b in range(first, end):
                        _clear(out, place + b * o2, place + b * o2 + b2)
                        _clear(out, place + b * o2 + e2, place + b * o2 + o2)
            target += row_step


def _scatter(
    columns: Any, out: Any, numbers: Any, channels: int, first: int, total: int, sample_step: int, row_step: int,
    start: int, stop: int,
) -> None:  # fmt: skip
    """The transpose of `gather`: add the columns where they came from. An item is a channel of a sample.

    The channels are those from number ``first`` on of ``total`` in the images. The loop may overwrite the columns.
    """
    n0, n1, n2, k0, k1, k2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    s0, s1, s2, p0, p1, p2 = numbers[6], numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
    d0, d1, d2, o0, o1, o2 = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
    flat = (s1 == 1) & (s2 == 1) & (o2 == n2)
    for item in range(start, stop):
        sample = item // channels
        channel = item - sample * channels
        image = (sample * total + first + channel) * n0
        target = sample * sample_step + channel * k0 * k1 * k2 * row_step
        plane = out[image * n1 * n2 : (image + n0) * n1 * n2]
        for i in range(plane.size):
            plane[i] = 0
        for tap in range(k0 * k1 * k2):
            f0, f1, f2 = tap // (k1 * k2) * d0 - p0, tap // k2 % k1 * d1 - p1, tap % k2 * d2 - p2
            b1, b2 = _first_inside(f1, s1, o1), _first_inside(f2, s2, o2)
            e1, e2 = _end_inside(f1, s1, o1, n1), _end_inside(f2, s2, o2, n2)
            length = (e1 - b1 - 1) * o2 + e2 - b2 if flat else e2 - b2
            for a in range(o0):
                z, place = a * s0 + f0, target + a * o1 * o2
                inside = (z >= 0) & (z < n0) & (b1 < e1) & (b2 < e2)
                end = e1 if inside else b1
                if flat & (e2 - b2 < o2):  # what belongs to no element of the row
                    for b in range(b1, end):
                        _clear(columns, place + b * o2, place + b * o2 + b2)
                        _clear(columns, place + b * o2 + e2, place + b * o2 + o2)
                last = min(b1 + 1, end) if flat else end
                for b in range(b1, last):
                    row = place + b * o2 + b2
                    offset = ((image + z) * n1 + b * s1 + f1) * n2 + b2 * s2 + f2
                    if s2 == 1:
                        y, source = out[offset : offset + length], columns[row : row + length]
                        for i in range(y.size):
                            y[i] += source[i]
                    else:
                        for i in range(length):
                            out[offset + i * s2] += columns[row + i]
            target += row_step


def _gather_small(
    x: Any, out: Any, table: Any, channels: int, plane: int, length: int, positions: int, sample_step: int,
    row_step: int, start: int, stop: int,
) -> None:  # fmt: skip
    """`gather` with the place of each element in a table: -1 for padding. ``length`` is the table's."""
    for item in range(start, stop):
        sample = item // channels
        target = sample * sample_step + (item - sample * channels) * (length // positions) * row_step
        source = x[item * plane : item * plane + plane]
        for first in range(0, length, positions):
            y, places = out[target : target + positions], table[first : first + positions]
            for i in range(y.size):
                place = places[i]
                y[i] = source[place] if place >= 0 else T(0.0)
            target += row_step


def _scatter_small(
    columns: Any, out: Any, table: Any, channels: int, first: int, total: int, plane: int, length: int, positions: int,
    sample_step: int, row_step: int, start: int, stop: int,
) -> None:  # fmt: skip
    """`scatter` with the place of each element in a table: -1 for padding. ``length`` is the table's."""
    for item in range(start, stop):
        sample = item // channels
        channel = item - sample * channels
        source = sample * sample_step + channel * (length // positions) * row_step
        image = (sample * total + first + channel) * plane
        y = out[image : image + plane]
        for i in range(y.size):
            y[i] = 0
        for begin in range(0, length, positions):
            part, places = columns[source : source + positions], table[begin : begin + positions]
            for i in range(part.size):
                place = places[i]
                if place >= 0:
                    y[place] += part[i]
            source += row_step


def _swap(x: Any, bias: Any, has_bias: int, out: Any, rows: int, columns: int, n: int, start: int, stop: int) -> None:
    """Exchange the first two axes of (rows, columns, n), and add a number for each row. An item is a pair of both."""
    for item in range(start, stop):
        column = item // rows
        row = item - column * rows
        y, source = out[item * n : item * n + n], x[(row * columns + column) * n : (row * columns + column) * n + n]
        if has_bias:
            b = bias[row]
            for i in range(y.size):
                y[i] = source[i] + b
        else:
            for i in range(y.size):
                y[i] = source[i]


GATHER = Kernel(_gather, "T[] T[] i8[] int int int", name="columns")
SCATTER = Kernel(_scatter, "T[] T[] i8[] int int int int int", name="add_columns")
GATHER_SMALL = Kernel(_gather_small, "T[] T[] i4[] int int int int int int", name="columns_small")
SCATTER_SMALL = Kernel(_scatter_small, "T[] T[] i4[] int int int int int int int int", name="add_columns_small")
SWAP = Kernel(_swap, "T[] T[]? int T[] int int int", name="swap_axes")


# -- scratch -----------------------------------------------------------------------------------------------------------
_buffers = threading.local()


def scratch(name: str, count: int, dtype: Any) -> Array:
    """An array of ``count`` elements for the calling thread, until it asks for the same name again."""
    buffers: Any = _buffers.__dict__
    found = buffers.get((name, dtype))
    if found is None or found.size < count:
        found = numpy.empty(count, dtype)
        if found.nbytes <= KEPT:
            buffers[name, dtype] = found
    return found[:count]


#: Bytes of a scratch buffer that a thread keeps at most. The blocks of convolutions are smaller in most cases.
KEPT = 1 << 23
