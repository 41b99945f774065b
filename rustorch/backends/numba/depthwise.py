"""Depthwise convolutions: each channel has a kernel of its own, so nothing is gained by products of matrices.

A channel of a sample is copied with its padding to a room that stays in the first cache. If the strides along rows are
1, all rows of the output are one run there, with some elements between them that belong to no output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from .kernel import Kernel
from .windows import scratch

if TYPE_CHECKING:
    from ..base import Array
    from .windows import Geometry

    T: Any = float


# -- loops -------------------------------------------------------------------------------------------------------------
def _pad(x: Any, place: Any, room: Any, base: Any, numbers: Any, reach: Any) -> None:
    """Copy a channel into a room that has the sizes that the kernel reaches over, and zeros around it."""
    n0, n1, n2, p0, p1, p2 = numbers[0], numbers[1], numbers[2], numbers[9], numbers[10], numbers[11]
    r0, r1, r2 = reach[0], reach[1], reach[2]
    first = max(p2, 0)
    length = max(min(p2 + n2, r2) - first, 0)
    for z in range(max(p0, 0), min(p0 + n0, r0)):
        for r in range(max(p1, 0), min(p1 + n1, r1)):
            row = base + (z * r1 + r) * r2 + first
            source = place + ((z - p0) * n1 + r - p1) * n2 + first - p2
            y, s = room[row : row + length], x[source : source + length]
            for i in range(y.size):
                y[i] = s[i]


def _conv(
    x: Any, weight: Any, bias: Any, has_bias: int, flipped: int, room: Any, out: Any, numbers: Any, reach: Any,
    channels: int, batch: int, start: int, stop: int,
) -> None:  # fmt: skip
    """Convolve a channel of all samples. An item is a channel."""
    k0, k1, k2, s0, s1, s2 = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    d0, d1, d2, o0, o1, o2 = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
    r1, r2, taps = reach[1], reach[2], k0 * k1 * k2
    volume = reach[0] * r1 * r2
    flat = (s1 == 1) & (s2 == 1)
    count, length = (1, (o1 - 1) * r2 + o2) if flat else (o1, o2)
    for channel in range(start, stop):
        base = channel * (volume + r1 * r2)
        run = room[base + volume : base + volume + r1 * r2]
        clear = room[base : base + volume]
        for i in range(clear.size):
            clear[i] = 0
        b = bias[channel] if has_bias else T(0.0)
        first, move = (channel * taps + taps - 1, -1) if flipped else (channel * taps, 1)
        for sample in range(batch):
            item = sample * channels + channel
            _pad(x, item * numbers[0] * numbers[1] * numbers[2], room, base, numbers, reach)
            for a in range(o0):
                y = run[0 : count * length]
                for i in range(y.size):
                    y[i] = b
                for c in range(k0 * k1):
                    w = first + c * k2 * move
                    source = base + ((a * s0 + c // k1 * d0) * r1 + c % k1 * d1) * r2
                    if flat & (k2 == 3):
                        w0, w1, w2 = weight[w], weight[w + move], weight[w + 2 * move]
                        t0, t1 = room[source : source + length], room[source + d2 : source + d2 + length]
                        t2 = room[source + 2 * d2 : source + 2 * d2 + length]
                        for i in range(y.size):
                            y[i] += w0 * t0[i] + w1 * t1[i] + w2 * t2[i]
                        continue
                    for c2 in range(k2):
                        f = weight[w + c2 * move]
                        for r in range(count):
                            y = run[r * length : (r + 1) * length]
                            place = source + r * s1 * r2 + c2 * d2
                            s = room[place : place + length * s2]
                            if s2 == 1:
                                for i in range(y.size):
                                    y[i] += f * s[i]
                            else:
                                for i in range(y.size):
                                    y[i] += f * s[i * s2]
                step = r2 if flat else o2
                for r in range(o1):
                    target = ((item * o0 + a) * o1 + r) * o2
                    y, s = out[target : target + o2], run[r * step : r * step + o2]
                    for i in range(y.size):
                        y[i] = s[i]


def _grad_input(
    g: Any, weight: Any, room: Any, out: Any, numbers: Any, reach: Any, channels: int, batch: int, start: int, stop: int
) -> None:
    """Add the gradients of a channel of all samples where they belong. An item is a channel."""
    n0, n1, n2, k0, k1, k2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    s0, s1, s2, p0, p1, p2 = numbers[6], numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
    d0, d1, d2, o0, o1, o2 = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
    r0, r1, r2 = reach[0], reach[1], reach[2]
    for channel in range(start, stop):
        base = channel * (r0 + 1) * r1 * r2
        for sample in range(batch):
            item = sample * channels + channel
            clear = room[base : base + r0 * r1 * r2]
            for i in range(clear.size):
                clear[i] = 0
            for c in range(k0 * k1 * k2):
                f = weight[channel * k0 * k1 * k2 + c]
                c0, c1, c2 = c // (k1 * k2) * d0, c // k2 % k1 * d1, c % k2 * d2
                for row in range(o0 * o1):
                    place = base + ((row // o1 * s0 + c0) * r1 + row % o1 * s1 + c1) * r2 + c2
                    y, s = (
                        room[place : place + o2 * s2],
                        g[(item * o0 * o1 + row) * o2 : (item * o0 * o1 + row + 1) * o2],
                    )
                    for i in range(s.size):
                        y[i * s2] += f * s[i]
            for row in range(n0 * n1):
                z, r = row // n1 + p0, row % n1 + p1
                inside = (z >= 0) & (z < r0) & (r >= 0) & (r < r1)
                for i in range(n2):
                    column = i + p2
                    is_inside = inside & (column >= 0) & (column < r2)
                    out[(item * n0 * n1 + row) * n2 + i] = (
                        room[base + (z * r1 + r) * r2 + column] if is_inside else T(0.0)
                    )


def _copy_rows(target: Any, at: int, step: int, source: Any, start: int, rows: int, length: int) -> Any:
    """Copy rows to places that are ``step`` apart, and return the sum of all elements."""
    total = T(0.0)
    for r in range(rows):
        y, s = target[at + r * step : at + r * step + length], source[start + r * length : start + (r + 1) * length]
        of_row = T(0.0)
        for i in range(y.size):
            y[i] = s[i]
            of_row += s[i]
        total += of_row
    return total


def _grad_weight(
    g: Any, x: Any, room: Any, out: Any, bias: Any, has_bias: int, numbers: Any, reach: Any, channels: int, batch: int,
    start: int, stop: int,
) -> None:  # fmt: skip
    """Sum the gradients of a channel's kernel and bias over all samples. An item is a channel."""
    k0, k1, k2, s0, s1, s2 = numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    d0, d1, d2, o0, o1, o2 = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
    r1, r2, taps = reach[1], reach[2], k0 * k1 * k2
    volume = reach[0] * r1 * r2
    flat = (s1 == 1) & (s2 == 1)
    step = r2 if flat else o2
    count, length = (1, (o1 - 1) * r2 + o2) if flat else (o1, o2)
    for channel in range(start, stop):
        base = channel * (volume + r1 * r2)
        clear = room[base : base + volume + r1 * r2]
        for i in range(clear.size):
            clear[i] = 0
        sums = out[channel * taps : (channel + 1) * taps]
        for i in range(sums.size):
            sums[i] = 0
        of_bias = T(0.0)
        for sample in range(batch):
            of_sample = T(0.0)  # sums of sums: errors grow with the number of terms of each
            item = sample * channels + channel
            _pad(x, item * numbers[0] * numbers[1] * numbers[2], room, base, numbers, reach)
            for a in range(o0):
                of_sample += _copy_rows(room, base + volume, step, g, (item * o0 + a) * o1 * o2, o1, o2)
                for c in range(k0 * k1):
                    source = base + ((a * s0 + c // k1 * d0) * r1 + c % k1 * d1) * r2
                    if flat & (k2 == 3):
                        y, a0 = room[base + volume : base + volume + length], room[source : source + length]
                        a1, a2 = (
                            room[source + d2 : source + d2 + length],
                            room[source + 2 * d2 : source + 2 * d2 + length],
                        )
                        t0, t1, t2 = T(0.0), T(0.0), T(0.0)
                        for i in range(y.size):
                            t0 += y[i] * a0[i]
                            t1 += y[i] * a1[i]
                            t2 += y[i] * a2[i]
                        sums[c * 3] += t0
                        sums[c * 3 + 1] += t1
                        sums[c * 3 + 2] += t2
                        continue
                    for c2 in range(k2):
                        total = T(0.0)
                        for r in range(count):
                            begin, place = base + volume + r * length, source + r * s1 * r2 + c2 * d2
                            y, s = room[begin : begin + length], room[place : place + length * s2]
                            if s2 == 1:
                                for i in range(y.size):
                                    total += y[i] * s[i]
                            else:
                                for i in range(y.size):
                                    total += y[i] * s[i * s2]
                        sums[c * k2 + c2] += total
            of_bias += of_sample
        if has_bias:
            bias[channel] = of_bias


CONV = Kernel(_conv, "T[] T[] T[]? int int T[] T[] i8[] i8[] int int", name="depthwise")
GRAD_INPUT = Kernel(_grad_input, "T[] T[] T[] T[] i8[] i8[] int int", name="depthwise_grad_input")
GRAD_WEIGHT = Kernel(
    _grad_weight, "T[] T[] T[] T[] T[]? int i8[] i8[] int int", sums=True, name="depthwise_grad_weight"
)


def _room(channels: int, geo: Geometry, dtype: Any) -> Array:
    """A padded channel and a plane for each channel."""
    r0, r1, r2 = geo.reach.tolist()
    return scratch("room", channels * (r0 + 1) * r1 * r2, dtype)


def conv(x: Array, weight: Array, bias: Array | None, geo: Geometry, flipped: bool = False) -> Array:
    """The convolution of (n, channels, ...) with (channels, 1, ...); ``flipped`` reverses the kernels."""
    batch, channels = x.shape[:2]
    work = batch * channels * geo.positions * geo.taps
    launch = CONV.of(x.dtype, work)
    if launch is None:
        return NotImplemented
    out = numpy.empty((batch, channels, *geo.size), x.dtype)
    launch(channels, work, x, weight, bias, bias is not None, flipped, _room(channels, geo, x.dtype), out, geo.numbers,
           geo.reach, channels, batch)  # fmt: skip
    return out


def conv_grad_input(g: Array, weight: Array, size: tuple[int, ...], geo: Geometry) -> Array:
    """The gradient of `conv` in its input, by adding to places; for strides of 1, a convolution is faster."""
    batch, channels = g.shape[:2]
    work = batch * channels * geo.positions * geo.taps
    launch = GRAD_INPUT.of(g.dtype, work)
    if launch is None:
        return NotImplemented
    out = numpy.empty((batch, channels, *size), g.dtype)
    launch(channels, work, g, weight, _room(channels, geo, g.dtype), out, geo.numbers, geo.reach, channels, batch)
    return out


def conv_grad_weight(g: Array, x: Array, kernel: tuple[int, ...], geo: Geometry, sums: Array | None = None) -> Array:
    """The gradient of `conv` in its weight. That in its bias is written to ``sums``."""
    batch, channels = g.shape[:2]
    work = batch * channels * geo.positions * geo.taps
    launch = GRAD_WEIGHT.of(g.dtype, work)
    if launch is None:
        return NotImplemented
    out = numpy.empty((channels, 1, *kernel), g.dtype)
    launch(channels, work, g, x, _room(channels, geo, g.dtype), out, sums, sums is not None, geo.numbers, geo.reach,
           channels, batch)  # fmt: skip
    return out
