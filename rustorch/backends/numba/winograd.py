"""3x3 convolutions with 4/9 of the multiplications: four outputs, 2 x 2, from 16 inputs, 4 x 4, by 16 products.

Each tile of the input and each kernel are transformed to 16 numbers. For each of the 16, a matrix product sums over the
channels; the results are transformed to the tiles of the output. Source: Lavin & Gray, "Fast algorithms for
convolutional neural networks", 2016. The errors of rounding are about twice those of the direct sums.

The transforms subtract numbers that the direct sums do not: where an input is infinite or nan, or the result overflows,
results would differ. Such results are found and not used.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, matmul

from ..threads import get_num_threads, spread
from .kernel import Kernel
from .windows import scratch

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes

    T: Any = float


# -- loops -------------------------------------------------------------------------------------------------------------
def _enter(
    x: Any, room: Any, out: Any, table: Any, channels: int, height: int, width: int, top: int, left: int, ny: int,
    nx: int, count: int, step: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Transform images, (n, channels, height, width), to 16 numbers for each tile. An item is a channel of a sample.

    The image with its padding is split into four: even and odd rows, even and odd columns. So neighbours in one of them
    belong to neighbouring tiles, and each of the 16 numbers is a sum of four elements at fixed places, up to their
    signs: ``table`` has a quarter, a row, a column and a sign for each. A row has one tile that is not used, at its
    end. ``room`` holds the four parts.
    """
    line = nx + 1
    quarter = (ny + 1) * line
    for item in range(start, stop):
        sample = item // channels
        channel = item - sample * channels
        image = room[item * (4 * quarter + 1) : (item + 1) * (4 * quarter + 1)]
        for i in range(image.size):
            image[i] = 0
        for y in range(max(-top, 0), min(height, 2 * ny + 2 - top)):
            for c in range(2):
                first = max(-left, 0)
                first += (first + left + c) & 1
                length = max((min(width, 2 * nx + 2 - left) - first + 1) // 2, 0)
                place = (2 * ((y + top) & 1) + c) * quarter + (y + top) // 2 * line + (first + left) // 2
                row, offset = image[place : place + length], (item * height + y) * width + first
                for i in range(row.size):
                    row[i] = x[offset + 2 * i]
        length = ny * line
        place = channel * count + sample * length
        for k in range(16):
            o = out[k * step + place : k * step + place + length]
            entry = table[16 * k : 16 * k + 16]
            p0, p1 = (
                (entry[0] * (ny + 1) + entry[1]) * line + entry[2],
                (entry[4] * (ny + 1) + entry[5]) * line + entry[6],
            )
            p2 = (entry[8] * (ny + 1) + entry[9]) * line + entry[10]
            p3 = (entry[12] * (ny + 1) + entry[13]) * line + entry[14]
            f0, f1, f2, f3 = T(entry[3]), T(entry[7]), T(entry[11]), T(entry[15])
            a, b, c, d = (
                image[p0 : p0 + length],
                image[p1 : p1 + length],
                image[p2 : p2 + length],
                image[p3 : p3 + length],
            )
            for i in range(o.size):
                o[i] = f0 * a[i] + f1 * b[i] + (f2 * c[i] + f3 * d[i])


def _leave(
    x: Any, bias: Any, has_bias: int, room: Any, out: Any, flag: Any, channels: int, height: int, width: int, ny: int,
    nx: int, count: int, step: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Transform 16 numbers for each tile to images, (n, channels, height, width), and add the bias.

    An item is a channel of a sample. ``flag[0]`` becomes 1 if a result is not finite. ``room`` holds sums of each item.
    """
    line = nx + 1
    length = ny * line
    for item in range(start, stop):
        sample = item // channels
        channel = item - sample * channels
        place = channel * count + sample * length
        rows = room[item * 6 * length : (item + 1) * 6 * length]
        b = bias[channel] if has_bias else T(0.0)
        wrong = 0
        for r in range(2):
            # m0 + m1 + m2, or m1 - m2 - m3: first down the columns of each tile, then along its rows
            f = T(-1.0) if r else T(1.0)
            for j in range(6):
                if j < 4:
                    p0, p1 = (12 * r + j) * step + place, (4 + j) * step + place
                    p2 = (8 + j) * step + place
                    a0, a1, a2 = x[p0 : p0 + length], x[p1 : p1 + length], x[p2 : p2 + length]
                    h = f
                else:
                    outer = 0 if j == 4 else 3 * length
                    a0, a1 = rows[outer : outer + length], rows[length : 2 * length]
                    a2 = rows[2 * length : 3 * length]
                    h = T(1.0) if j == 4 else T(-1.0)
                y = rows[j * length : (j + 1) * length]
                for i in range(y.size):
                    y[i] = a1[i] + h * (a0[i] + a2[i])
            for ty in range((height - r + 1) // 2):
                offset, base = (item * height + 2 * ty + r) * width, 4 * length + ty * line
                for c in range(2):
                    y = rows[base + c * length : base + c * length + (width - c + 1) // 2]
                    for i in range(y.size):
                        value = y[i] + b
                        out[offset + c + 2 * i] = value
                        wrong |= 1 if value - value != T(0.0) else 0
        if wrong:
            flag[0] = 1


def _kernels(weight: Any, out: Any, size: int, step: int, flipped: int, start: int, stop: int) -> None:
    """Transform kernels: (size, 9) to 16 numbers each, ``step`` apart. An item is a kernel."""
    half = T(0.5)
    for item in range(start, stop):
        first, move = (item * 9 + 8, -1) if flipped else (item * 9, 1)
        for k in range(4):
            # row k of the vertical transform: g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2
            row = first + (6 * move if k == 3 else 0)
            a, b, c = weight[row], weight[row + move], weight[row + 2 * move]
            if (k == 1) | (k == 2):
                f = half if k == 1 else -half
                a = half * (a + weight[row + 6 * move]) + f * weight[row + 3 * move]
                b = half * (b + weight[row + 7 * move]) + f * weight[row + 4 * move]
                c = half * (c + weight[row + 8 * move]) + f * weight[row + 5 * move]
            place = 4 * k * step + item
            out[place] = a
            out[place + step] = half * (a + b + c)
            out[place + 2 * step] = half * (a - b + c)
            out[place + 3 * step] = c


def _leave_kernels(x: Any, out: Any, flag: Any, step: int, start: int, stop: int) -> None:
    """Transform 16 numbers, ``step`` apart, to the gradients of kernels, (size, 9). An item is a kernel."""
    half = T(0.5)
    for item in range(start, stop):
        wrong = 0
        for k in range(3):
            # row k of the vertical transform: m0 + (m1 + m2) / 2, (m1 - m2) / 2, (m1 + m2) / 2 + m3
            outer = item + (12 * step if k == 2 else 0)
            f, h = T(0.0) if k == 1 else T(1.0), -half if k == 1 else half
            inner, last = item + 4 * step, item + 8 * step
            m0 = f * x[outer] + (half * x[inner] + h * x[last])
            m1 = f * x[outer + step] + (half * x[inner + step] + h * x[last + step])
            m2 = f * x[outer + 2 * step] + (half * x[inner + 2 * step] + h * x[last + 2 * step])
            m3 = f * x[outer + 3 * step] + (half * x[inner + 3 * step] + h * x[last + 3 * step])
            r0, r1, r2 = m0 + half * (m1 + m2), half * (m1 - m2), half * (m1 + m2) + m3
            out[item * 9 + 3 * k] = r0
            out[item * 9 + 3 * k + 1] = r1
            out[item * 9 + 3 * k + 2] = r2
            wrong |= 1 if (r0 - r0) + (r1 - r1) + (r2 - r2) != T(0.0) else 0
        if wrong:
            flag[0] = 1


ENTER = Kernel(_enter, "T[] T[] T[] i8[] int int int int int int int int int", name="winograd_enter")
LEAVE = Kernel(_leave, "T[] T[]? int T[] T[] i8[] int int int int int int int", name="winograd_leave")
KERNELS = Kernel(_kernels, "T[] T[] int int int", name="winograd_kernels")
LEAVE_KERNELS = Kernel(_leave_kernels, "T[] T[] i8[] int", name="winograd_leave_kernels")


def _table(rows: list[tuple[tuple[int, int], tuple[int, int]]]) -> Array:
    """The places and signs of the 16 transformed numbers, from the two rows that each row of the transform adds."""
    numbers = [
        [2 * (r & 1) + (c & 1), r >> 1, c >> 1, f * h]
        for down in rows
        for along in rows
        for r, f in down
        for c, h in along
    ]
    return numpy.array(numbers, numpy.int64).reshape(-1)


_INPUT = _table([((0, 1), (2, -1)), ((1, 1), (2, 1)), ((2, 1), (1, -1)), ((1, 1), (3, -1))])
_GRADIENT = _table([((0, 1), (1, 0)), ((0, 1), (1, 1)), ((0, 1), (1, -1)), ((0, 0), (1, -1))])


def _step(size: int) -> int:
    """How far apart 16 arrays of this size are. An odd number of lines of the cache: they share no place in it."""
    return (-(-size // 16) | 1) * 16


def _stack(name: str, rows: int, columns: int, dtype: Any) -> tuple[Array, Array, int]:
    """Scratch memory, as 16 matrices in it, and their distance."""
    step = _step(rows * columns)
    room = scratch(name, 16 * step, dtype)
    return room, room.reshape(16, step)[:, : rows * columns].reshape(16, rows, columns), step


#: Bytes of the transformed samples of one thread, inputs and outputs. Twice a core's second cache: one half of them is
#: read while the other is written. A quarter of it takes up to 1.15 times as long, four times as much up to 1.2 times.
CACHE = 1 << 21
#: Bytes of the transformed samples that all threads share.
SHARED = 1 << 23


class Tiles:
    """The tiles of the outputs of one convolution, and how many samples are transformed at the same time.

    Parameters
    ----------
    x : tuple
        The shape of the input, (n, in, height, width).
    outs : int
        The number of output channels.
    padding : pairs
    """

    def __init__(self, x: Sizes, outs: int, padding: Pairs, dtype: Any):
        self.batch, self.ins, *self.source = x
        self.outs, self.dtype = outs, dtype
        self.size = tuple([n + sum(p) - 2 for n, p in zip(self.source, padding, strict=True)])
        self.corner = (padding[0][0], padding[1][0])
        self.ny, self.nx = [-(-n // 2) for n in self.size]
        self.tiles = self.ny * (self.nx + 1)
        self.cost = self.batch * self.ins * outs * 9 * prod(self.size)
        sample = 16 * (self.ins + outs) * self.tiles * dtype.itemsize
        #: Threads take samples if a block of each makes products of some size. Otherwise they share the 16 products.
        self.by_samples = self.batch * self.tiles >= 128 * get_num_threads() and sample <= CACHE
        self.block = max(1, min(self.batch, (CACHE if self.by_samples else SHARED) // sample))

    def spread(self, work: Any) -> list[Any]:
        """Call ``work(first, stop, product, result so far)`` for samples."""
        if self.by_samples:
            return spread(self.batch, self.cost, lambda first, stop: self._blocks(first, stop, work, matmul))
        return [self._blocks(0, self.batch, work, _shared)]

    def _blocks(self, first: int, stop: int, work: Any, product: Any) -> Any:
        result: Any = None
        for start in range(first, stop, self.block):
            result = work(start, min(start + self.block, stop), product, result)
        return result

    def enter(self, launch: Any, name: str, x: Array, table: Array, corner: Sizes) -> Array:
        """Transformed samples, (16, channels, tiles)."""
        n, channels, height, width = x.shape
        room = scratch("room", n * channels * (4 * (self.ny + 1) * (self.nx + 1) + 1), self.dtype)
        out, matrices, step = _stack(name, channels, n * self.tiles, self.dtype)
        launch(n * channels, out.size, x, room, out, table, channels, height, width, *corner, self.ny, self.nx,
               n * self.tiles, step)  # fmt: skip
        return matrices


def _shared(a: Array, b: Array, out: Array) -> Array:
    """The 16 products, shared between the threads."""
    cost = out.size * a.shape[2]
    spread(16, cost, lambda first, stop: matmul(a[first:stop], b[first:stop], out[first:stop]))
    return out


def conv(x: Array, weight: Array, bias: Array | None, padding: Pairs, flipped: bool = False) -> Array:
    """The convolution, or NotImplemented if a result is not finite.

    Parameters
    ----------
    x : (n, in, height, width)
    weight : (out, in, 3, 3); (in, out, 3, 3) if ``flipped``
    bias : (out,) or None
    padding : two pairs
    flipped : bool
        Whether to exchange the first two axes of the weight, and to reverse the others.
    """
    dtype, outs, pairs = x.dtype, weight.shape[1 if flipped else 0], weight.size // 9
    tiles = Tiles(x.shape, outs, padding, dtype)
    enter, transform, leave = [kernel.of(dtype, tiles.cost) for kernel in (ENTER, KERNELS, LEAVE)]
    if enter is None or transform is None or leave is None:
        return NotImplemented
    room, kernels, step = _stack("kernels", weight.shape[0], weight.shape[1], dtype)
    transform(pairs, 4 * weight.size, weight, room, pairs, step, flipped)
    if flipped:
        kernels = kernels.swapaxes(1, 2)
    out, flag = numpy.empty((x.shape[0], outs, *tiles.size), dtype), numpy.zeros(1, numpy.int64)

    def work(start: int, stop: int, product: Any, result: Any) -> None:
        inputs = tiles.enter(enter, "tiles", x[start:stop], _INPUT, tiles.corner)
        count, n = inputs.shape[2], stop - start
        products, matrices, step = _stack("products", outs, count, dtype)
        product(kernels, inputs, matrices)
        room = scratch("room", n * outs * 6 * tiles.tiles, dtype)
        leave(n * outs, products.size, products, bias, bias is not None, room, out[start:stop], flag, outs,
              *tiles.size, tiles.ny, tiles.nx, count, step)  # fmt: skip

    tiles.spread(work)
    return NotImplemented if flag[0] else out


def conv_grad_weight(g: Array, x: Array, padding: Pairs) -> Array:
    """The gradient of `conv` in its weight, or NotImplemented if a result is not finite."""
    dtype, outs, ins = x.dtype, g.shape[1], x.shape[1]
    tiles = Tiles(x.shape, outs, padding, dtype)
    enter, leave = [kernel.of(dtype, tiles.cost) for kernel in (ENTER, LEAVE_KERNELS)]
    if enter is None or leave is None:
        return NotImplemented
    step = _step(outs * ins)

    def work(start: int, stop: int, product: Any, result: Any) -> Array:
        inputs = tiles.enter(enter, "tiles", x[start:stop], _INPUT, tiles.corner)
        gradients = tiles.enter(enter, "products", g[start:stop], _GRADIENT, (0, 0))
        sums = numpy.zeros((16, step), dtype)
        product(gradients, inputs.swapaxes(1, 2), sums[:, : outs * ins].reshape(16, outs, ins))
        return sums if result is None else add(result, sums, result)

    total, *others = tiles.spread(work)
    for other in others:
        add(total, other, total)
    out, flag = numpy.empty((outs, ins, 3, 3), dtype), numpy.zeros(1, numpy.int64)
    leave(outs * ins, total.size, total, out, flag, step)
    return NotImplemented if flag[0] else out
