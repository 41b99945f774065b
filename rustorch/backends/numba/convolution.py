"""Convolutions: compiled copies to columns, and products by BLAS that rustorch's threads share.

What the threads share is chosen by shape. Where there are many positions, each takes samples. Where there are few
positions and many channels, the columns of all samples are one matrix, and each thread takes channels: so each weight
is read once, and each element of the weight's gradient is summed by one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, matmul

from ..kernels.convolution import mirrored
from ..numpy.namespace import NUMPY
from ..threads import get_num_threads, spread
from . import depthwise, winograd
from .kernel import LEAST, flat
from .windows import GATHER, GATHER_SMALL, SCATTER, SCATTER_SMALL, SWAP, geometry, scratch

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes

#: Bytes of columns of one thread at a time. They fit into the second cache of a core; a quarter of it takes up to 1.3
#: times as long, because the products get small.
CACHE = 1 << 20
#: Bytes of columns that all threads share.
SHARED = 1 << 23
#: Positions of a sample from which it has a product of its own, written where the output belongs. At 64 positions this
#: takes 0.9 to 1.0 of the time of one product for all samples, at 200 and 256 positions 0.7.
LONG = 64
#: Positions of a sample from which its part of the weight's gradient is a product of its own. At 64 positions that
#: takes up to twice as long as one product for a block of samples, at 784 positions 0.9 of it.
LONG_SUM = 512

#: Where tiles of 2 x 2 outputs are used: 3x3 kernels with this many channels, in times out, on images with sides of
#: this length, and this many tiles in all samples. There they take 0.6 to 0.85 of the time of columns: 0.62 for 32 and
#: 32 channels on 32 x 32, 0.66 for 64 on 16 x 16, 0.8 for 256 on 14 x 14. It is 1.0 for 16 and 32 channels on 28 x 28,
#: and 1.0 to 1.05 for 64 and 128 channels on 8 x 8, where a fifth of the tiles is not used.
CHANNELS, SIDE, TILES = 1 << 10, 12, 96
#: The same for the gradient of the weight, whose products are narrow: 0.75 for 32 and 32 channels on 32 x 32, 0.87 for
#: 64 on 16 x 16; but 1.07 for 32 and 64 on 14 x 14, so either channels or sides have to be more.
CHANNELS_SUM, SIDE_SUM = 1 << 12, 24

#: Transformed elements of a sample at most: memory stays bounded.
LARGEST = 1 << 22

_FLOATS = (numpy.dtype("float32"), numpy.dtype("float64"))


class _Plan:
    """What the three convolutions of one shape have in common.

    Attributes
    ----------
    rows, height : int
        The rows of the columns of a group, and of all groups.
    outs : int
        The output channels of a group.
    pointwise : bool
        Whether the columns of a sample are the sample itself.
    depthwise : bool
        Whether each channel has a kernel of its own.
    bands : int
        In how many parts along the first axis the columns of a sample are made, so that they stay in the cache.
    by_samples : bool
        Whether threads take samples or bands of them. Otherwise they take channels.
    block : int
        How many samples have columns at the same time.
    """

    def __init__(
        self, x: Sizes, weight: Sizes, dtype: Any, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
    ):
        self.geo = geo = geometry(x[2:], weight[2:], stride, padding, dilation)
        self.batch, self.channels, self.groups, self.dtype = x[0], x[1], groups, dtype
        self.outs = weight[0] // groups
        self.rows = weight[1] * geo.taps
        self.height = groups * self.rows
        self.pointwise = geo.size == x[2:] and geo.taps == 1 and stride == (1,) * len(stride) and not padding[0][0]
        self.depthwise = groups == x[1] == weight[0]
        self.cost = self.batch * weight[0] * self.rows * geo.positions
        sample = max(self.height * geo.positions * dtype.itemsize, 1)
        self.bands = 1 if self.pointwise or geo.table is not None else min(max(sample // CACHE, 1), geo.size[0])
        self.by_samples = geo.positions >= LONG and self.batch * self.bands >= get_num_threads()
        self.block = max(1, min(self.batch, (CACHE if self.by_samples else SHARED) // sample))
        kernels = (GATHER, SCATTER, SWAP) if geo.table is None else (GATHER_SMALL, SCATTER_SMALL, SWAP)
        self._gather: Any
        self._scatter: Any
        self.swap: Any
        self._gather, self._scatter, self.swap = [kernel.of(dtype, self.cost) for kernel in kernels]

    @property
    def ready(self) -> bool:
        """Whether the kernels are compiled."""
        return self._gather is not None and self._scatter is not None and self.swap is not None

    def gather(self, x: Array, columns: Array, sample_step: int, row_step: int) -> None:
        """Fill the columns of some samples."""
        geo, items = self.geo, x.shape[0] * self.channels
        if geo.table is None:
            self._gather(items, columns.size, x, columns, geo.numbers, self.channels, sample_step, row_step)
        else:
            self._gather(items, columns.size, x, columns, geo.table, self.channels, geo.plane, geo.table.size,
                         geo.positions, sample_step, row_step)  # fmt: skip

    def scatter(self, columns: Array, out: Array, channels: int, first: int, sample_step: int, row_step: int) -> None:
        """Set ``channels`` of the input's channels, from number ``first`` on, to the sums of their columns."""
        geo, items, total = self.geo, out.shape[0] * channels, self.channels
        if geo.table is None:
            self._scatter(items, columns.size, columns, out, geo.numbers, channels, first, total, sample_step, row_step)
        else:
            self._scatter(items, columns.size, columns, out, geo.table, channels, first, total, geo.plane,
                          geo.table.size, geo.positions, sample_step, row_step)  # fmt: skip

    def each(self, x: Array) -> Array:
        """The columns of some samples, (n, groups, rows, positions). The next call overwrites them."""
        n, positions = x.shape[0], self.geo.positions
        if not self.pointwise:
            room = scratch("columns", n * self.height * positions, self.dtype)
            self.gather(x, room, self.height * positions, positions)
            x = room
        return x.reshape(n, self.groups, self.rows, positions)

    def band(self, x: Array, unit: int) -> tuple[int, slice, Array]:
        """A band of a sample: the sample's number, the positions, and their columns, (groups, rows, positions)."""
        sample, band = divmod(unit, self.bands)
        size, axis, numbers = self.geo.size, 3 - len(self.geo.size), self.geo.numbers.copy()
        first, end = size[0] * band // self.bands, size[0] * (band + 1) // self.bands
        numbers[9 + axis] -= first * numbers[6 + axis]  # a band is an output whose padding begins elsewhere
        numbers[15 + axis] = end - first
        line = self.geo.positions // size[0]
        count = (end - first) * line
        room = scratch("columns", self.height * count, self.dtype)
        self._gather(self.channels, room.size, x[sample], room, numbers, self.channels, 0, count)
        return sample, slice(first * line, end * line), room.reshape(self.groups, self.rows, count)

    def joined(self, x: Array) -> Array:
        """The columns of some samples side by side, (groups, rows, n * positions)."""
        n, positions = x.shape[0], self.geo.positions
        if self.pointwise:
            return self.side_by_side("columns", x, self.rows)
        room = scratch("columns", n * self.height * positions, self.dtype)
        self.gather(x, room, positions, n * positions)
        return room.reshape(self.groups, self.rows, n * positions)

    def side_by_side(self, name: str, x: Array, rows: int) -> Array:
        """(n, groups * rows, ...) as (groups, rows, n * positions)."""
        n, positions = x.shape[0], self.geo.positions
        if n == 1:
            return x.reshape(self.groups, rows, positions)
        room = scratch(name, x.size, self.dtype)
        self.swap(self.groups * rows * n, x.size, x, None, 0, room, n, self.groups * rows, positions)
        return room.reshape(self.groups, rows, n * positions)


def _plan(
    x: Sizes, weight: Sizes, arrays: tuple[Any, ...], stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> _Plan | None:
    """The plan for these shapes, or None where NumPy should serve."""
    dtype = arrays[0].dtype
    if dtype not in _FLOATS or not all(a.dtype is dtype for a in arrays) or not 3 <= len(x) <= 5:
        return None
    if 0 in x or 0 in weight or prod(x) * prod(weight[2:]) < LEAST:
        return None
    plan = _Plan(x, weight, dtype, stride, padding, dilation, groups)
    return plan if plan.ready and min(plan.geo.size) > 0 else None


def _by_tiles(x: Sizes, weight: Sizes, stride: Sizes, dilation: Sizes, groups: int, is_sum: bool = False) -> bool:
    """Whether a convolution, or the sum that is its weight's gradient, is computed by tiles of 2 x 2 outputs."""
    return (
        weight[2:] == (3, 3)
        and groups == 1
        and stride == dilation == (1, 1)
        and min(weight[:2]) >= 16
        and x[0] * x[2] * x[3] >= 4 * TILES
        and min(x[2:]) >= SIDE
        and weight[0] * weight[1] >= (CHANNELS_SUM if is_sum and min(x[2:]) < SIDE_SUM else CHANNELS)
        and 4 * (weight[0] + weight[1]) * x[2] * x[3] <= LARGEST
    )


def conv(
    x: Array, weight: Array, bias: Array | None, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    arrays = (x, weight) if bias is None else (x, weight, bias)
    plan = _plan(x.shape, weight.shape, arrays, stride, padding, dilation, groups)
    if plan is None:
        return NotImplemented
    x, weight, positions = flat(x), flat(weight), plan.geo.positions
    if plan.depthwise:
        return depthwise.conv(x, weight, None if bias is None else flat(bias), plan.geo)
    if _by_tiles(x.shape, weight.shape, stride, dilation, groups):
        out = winograd.conv(x, weight, None if bias is None else flat(bias), padding)
        if out is not NotImplemented:
            return out
    rows = weight.reshape(groups, plan.outs, plan.rows)
    out = numpy.empty((x.shape[0], weight.shape[0], *plan.geo.size), plan.dtype)
    if not plan.by_samples:
        _conv_by_channels(plan, x, rows, None if bias is None else flat(bias), out)
        return out
    added = None if bias is None else bias.reshape(-1, *[1] * len(stride))
    if plan.bands > 1:
        _conv_by_bands(plan, x, rows, bias, out)
        return out

    def work(first: int, stop: int) -> None:
        for start in range(first, stop, plan.block):
            end = min(start + plan.block, stop)
            target = out[start:end]
            matmul(rows, plan.each(x[start:end]), target.reshape(end - start, groups, plan.outs, positions))
            if added is not None:
                add(target, added, target)

    spread(plan.batch, plan.cost, work)
    return out


def _conv_by_bands(plan: _Plan, x: Array, rows: Array, bias: Array | None, out: Array) -> None:
    """Each thread computes some bands of samples."""
    target = out.reshape(plan.batch, plan.groups, plan.outs, plan.geo.positions)
    added = None if bias is None else bias.reshape(plan.groups, plan.outs, 1)

    def work(first: int, stop: int) -> None:
        for unit in range(first, stop):
            sample, part, columns = plan.band(x, unit)
            view = target[sample, ..., part]
            matmul(rows, columns, view)
            if added is not None:
                add(view, added, view)

    spread(plan.batch * plan.bands, plan.cost, work)


def _conv_by_channels(plan: _Plan, x: Array, rows: Array, bias: Array | None, out: Array) -> None:
    """Each thread computes some channels of the output, for all samples of a block."""
    for start in range(0, plan.batch, plan.block):
        target = out[start : start + plan.block]
        columns = plan.joined(x[start : start + plan.block])
        in_place = len(target) == 1 and bias is None
        results = target if in_place else scratch("results", target.size, plan.dtype)
        results = results.reshape(plan.groups, plan.outs, columns.shape[2])

        def work(first: int, stop: int, columns: Array = columns, results: Array = results) -> None:
            matmul(rows[:, first:stop], columns, results[:, first:stop])

        spread(plan.outs, plan.cost * len(target) // plan.batch, work)
        if not in_place:
            n, outs = target.shape[:2]
            plan.swap(n * outs, target.size, results, bias, bias is not None, target, outs, n, plan.geo.positions)


def conv_grad_weight(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    plan = _plan(x.shape, shape, (x, g), stride, padding, dilation, groups)
    if plan is None or plan.geo.size != g.shape[2:]:
        return NotImplemented
    g, x, positions = flat(g), flat(x), plan.geo.positions
    if plan.depthwise:
        return depthwise.conv_grad_weight(g, x, kernel, plan.geo)
    if _by_tiles(x.shape, shape, stride, dilation, groups, is_sum=True):
        out = winograd.conv_grad_weight(g, x, padding)
        if out is not NotImplemented:
            return out
    if not plan.by_samples:
        return _grad_weight_by_channels(plan, g, x).reshape(shape)

    def work(first: int, stop: int) -> Array:
        total: Any = None
        for start in range(first, stop, 1 if plan.bands > 1 else plan.block):
            end = min(start + plan.block, stop)
            if plan.bands > 1:
                sample, places, columns = plan.band(x, start)
                gradient = g[sample].reshape(groups, plan.outs, positions)[..., places]
                term = matmul(columns, gradient.swapaxes(1, 2))
            elif positions < LONG_SUM:
                gradient = plan.side_by_side("gradient", g[start:end], plan.outs)
                term = matmul(plan.joined(x[start:end]), gradient.swapaxes(1, 2))
            else:
                # the longer side first: the product takes three quarters of the time
                gradient = g[start:end].reshape(end - start, groups, plan.outs, positions)
                term = add.reduce(matmul(plan.each(x[start:end]), gradient.swapaxes(2, 3)), 0)
            total = term if total is None else add(total, term, total)
        return total

    out, *others = spread(plan.batch * plan.bands, plan.cost, work)
    for other in others:
        add(out, other, out)
    return out.swapaxes(1, 2).reshape(shape)


def _grad_weight_by_channels(plan: _Plan, g: Array, x: Array) -> Array:
    """Each thread computes the gradient for some channels of the output."""
    out = numpy.empty((plan.groups, plan.outs, plan.rows), plan.dtype)
    for start in range(0, plan.batch, plan.block):
        columns = plan.joined(x[start : start + plan.block]).swapaxes(1, 2)
        gradient = plan.side_by_side("gradient", g[start : start + plan.block], plan.outs)

        def work(
            first: int, stop: int, columns: Array = columns, gradient: Array = gradient, start: int = start
        ) -> None:
            part = out[:, first:stop]
            if start:
                add(part, matmul(gradient[:, first:stop], columns), part)
            else:
                matmul(gradient[:, first:stop], columns, part)

        spread(plan.outs, plan.cost * min(plan.block, plan.batch - start) // plan.batch, work)
    return out


def conv_grad_input(
    g: Array, weight: Array, size: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    shape = (g.shape[0], groups * weight.shape[1], *size)
    plan = _plan(shape, weight.shape, (g, weight), stride, padding, dilation, groups)
    if plan is None or plan.geo.size != g.shape[2:]:
        return NotImplemented
    g, weight = flat(g), flat(weight)
    if plan.depthwise and set(stride) == {1}:
        around = _around(weight, padding, dilation)
        return depthwise.conv(g, weight, None, geometry(g.shape[2:], weight.shape[2:], stride, around, dilation), True)
    if plan.depthwise:
        return depthwise.conv_grad_input(g, weight, size, plan.geo)
    if _by_tiles(g.shape, weight.shape, stride, dilation, groups):
        out = winograd.conv(g, weight, None, _around(weight, padding, dilation), flipped=True)
        if out is not NotImplemented:
            return out
    if plan.bands > 1 and set(stride) == {1}:
        return conv(
            g, mirrored(NUMPY, weight, groups), None, stride, _around(weight, padding, dilation), dilation, groups
        )
    rows = weight.reshape(groups, plan.outs, plan.rows).swapaxes(1, 2)
    out = numpy.empty(shape, plan.dtype)
    if not plan.by_samples:
        _grad_input_by_channels(plan, g, rows, out)
        return out
    positions = plan.geo.positions

    def work(first: int, stop: int) -> None:
        for start in range(first, stop, plan.block):
            target, n = out[start : min(start + plan.block, stop)], min(plan.block, stop - start)
            room = target if plan.pointwise else scratch("columns", n * plan.height * positions, plan.dtype)
            columns = room.reshape(n, groups, plan.rows, positions)
            matmul(rows, g[start : start + n].reshape(n, groups, plan.outs, positions), columns)
            if not plan.pointwise:
                plan.scatter(room, target, plan.channels, 0, plan.height * positions, positions)

    spread(plan.batch, plan.cost, work)
    return out


def _around(weight: Array, padding: Pairs, dilation: Sizes) -> Pairs:
    """The padding of the convolution that is the gradient in the input, for strides of 1."""
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    return tuple([(r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True)])


def _grad_input_by_channels(plan: _Plan, g: Array, rows: Array, out: Array) -> None:
    """Each thread computes some channels of the input, or some groups of them."""
    groups, taps = plan.groups, plan.geo.taps
    channels = plan.channels // groups if groups > 1 else 1  # that a thread takes at least
    for start in range(0, plan.batch, plan.block):
        target = out[start : start + plan.block]
        n = len(target)
        gradient = plan.side_by_side("gradient", g[start : start + n], plan.outs)
        width = n * plan.geo.positions

        def work(first: int, stop: int, target: Array = target, gradient: Array = gradient, width: int = width) -> None:
            first, stop = first * channels, stop * channels
            room = scratch("columns", (stop - first) * taps * width, plan.dtype)
            if groups > 1:
                part = slice(first // channels, stop // channels)
                matmul(rows[part], gradient[part], room.reshape(-1, plan.rows, width))
            else:
                matmul(rows[:, first * taps : stop * taps], gradient, room.reshape(1, -1, width))
            plan.scatter(room, target, stop - first, first, plan.geo.positions, width)

        spread(plan.channels // channels, plan.cost * n // plan.batch, work)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (conv, conv_grad_input, conv_grad_weight)
}
