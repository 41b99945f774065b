"""What convolutions of one shape have in common: where the elements are that they multiply, and zeros around inputs.

Places of elements are sums: of one for each place of the kernel, and one for each position of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from .kernel import Kernel
from .products import steps
from .windows import geometry, scratch

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes
    from .reductions import copy_vector, split_vector

#: Bytes of samples with their padding at a time. They fit into the cache that all cores share.
CACHE = 1 << 22
#: If a sample has fewer positions, several samples share a table of at most so many: else sums over positions would be
#: short.
LONG = 512
#: Elements behind the copy of an input that may be read.
SPARE = 64


# -- padding -----------------------------------------------------------------------------------------------------------
def _copy(target: Any, at: int, source: Any, start: int, count: int) -> None:
    """Copy ``count`` numbers. The last vector begins before the end of the one before it, if need be."""
    if count >= 16:
        for k in range(0, count - 15, 16):
            copy_vector(target, at + k, source, start + k, 16)
        copy_vector(target, at + count - 16, source, start + count - 16, 16)
    elif count >= 8:
        copy_vector(target, at, source, start, 8)
        copy_vector(target, at + count - 8, source, start + count - 8, 8)
    else:
        for k in range(count):
            target[at + k] = source[start + k]


def _split(target: Any, even: int, odd: int, source: Any, start: int, count: int) -> None:
    """Copy ``count`` numbers: the first, third, ... to ``even``, the others to ``odd``."""
    pairs = count // 2
    if pairs >= 8:
        for k in range(0, pairs - 7, 8):
            split_vector(target, even + k, odd + k, source, start + 2 * k)
        split_vector(target, even + pairs - 8, odd + pairs - 8, source, start + 2 * pairs - 16)
    else:
        for k in range(pairs):
            target[even + k], target[odd + k] = source[start + 2 * k], source[start + 2 * k + 1]
    if count % 2:
        target[even + pairs] = source[start + count - 1]


def _pad(x: Any, out: Any, numbers: Any, start: int, stop: int) -> None:
    """Copy channels of samples, each a volume, into a larger one whose other elements are 0.

    A row consists of ``parts``: the elements 0, parts, 2 parts, ... come first.
    """
    n0, n1, n2, m0, m1, m2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    p0, p1, p2, parts = numbers[6], numbers[7], numbers[8], numbers[9]
    line = m2 // parts
    for item in range(start, stop):
        whole = out[item * m0 * m1 * m2 : (item + 1) * m0 * m1 * m2]
        for i in range(whole.size):
            whole[i] = 0
        for i in range(n0):
            for j in range(n1):
                place, source = ((item * m0 + i + p0) * m1 + j + p1) * m2, ((item * n0 + i) * n1 + j) * n2
                first = place + p2 % parts * line + p2 // parts
                second = place + (p2 + 1) % parts * line + (p2 + 1) // parts
                if parts == 1:
                    _copy(out, first, x, source, n2)
                elif parts == 2:
                    _split(out, first, second, x, source, n2)
                else:
                    for k in range(n2):
                        out[place + (k + p2) % parts * line + (k + p2) // parts] = x[source + k]


PAD = Kernel(_pad, "T[] T[] i8[]", name="pad")


class Padding:
    """How an input is copied: with zeros around it, and its rows in parts, so that positions lie side by side.

    Parameters
    ----------
    size : tuple
        The spatial sizes of the input.
    lowest, highest : tuple
        The first and last places that are read, in each dimension.
    parts : int
        How far apart positions are along rows.
    whole_rows : bool
        Whether there are as many positions as elements. Then no copy is made where there are neither zeros nor parts.
    """

    def __init__(
        self, size: Sizes, lowest: Sequence[int], highest: Sequence[int], parts: int = 1, whole_rows: bool = False
    ):
        self.before = tuple([max(-low, 0) for low in lowest])
        whole = [b + max(n, high + 1) for b, n, high in zip(self.before, size, highest, strict=True)]
        whole[-1] += -whole[-1] % parts
        self.size, self.parts = tuple(whole), parts
        self._numbers: Array | None = None
        if self.size != size or parts > 1 or not whole_rows:
            ones, zeros = (1,) * (3 - len(size)), (0,) * (3 - len(size))
            numbers = [*ones, *size, *ones, *whole, *zeros, *self.before, parts]
            self._numbers = numpy.array(numbers, numpy.int64)

    def places(self, axes: Sequence[Sequence[int]]) -> Array:
        """Where elements with these numbers along the axes are, the last axis first. Numbers count the zeros, too."""
        line = self.size[-1] // self.parts
        *others, row = axes
        return _places([*others, [n % self.parts * line + n // self.parts for n in row]], self.size)

    @property
    def spare(self) -> bool:
        """Whether `SPARE` elements behind those of `apply` may be read."""
        return self._numbers is not None

    def samples(self, x: Array) -> int:
        """How many samples are copied at a time."""
        samples: int = x.shape[0]
        if self._numbers is not None:
            samples = max(1, min(samples, CACHE // (x.shape[1] * prod(self.size) * x.itemsize)))
        return samples

    def apply(self, launch: Callable[..., None], x: Array) -> Array:
        """Some samples with their zeros. The next call overwrites them."""
        if self._numbers is None:
            return x
        items = x.shape[0] * x.shape[1]
        out = scratch("padded", items * prod(self.size) + SPARE, x.dtype)
        launch(items, out.size, x, out, self._numbers)
        return out


def _places(axes: Sequence[Sequence[int]], size: Sizes) -> Array:
    """Where elements with these numbers along the axes are in an array of this size, the last axis first."""
    out = numpy.zeros(1, numpy.int64)
    for i, numbers in enumerate(axes):
        out = (out[:, None] + numpy.asarray(numbers, numpy.int64) * prod(size[i + 1 :])).reshape(-1)
    return out


def _both(outer: Array, inner: Array) -> Array:
    """All sums of two tables, in one table."""
    return (outer[:, None] + inner).reshape(-1)


# -- plans -------------------------------------------------------------------------------------------------------------
class Part(NamedTuple):
    """One of the products that compute a convolution, or its gradient in the input.

    Attributes
    ----------
    inputs, weights : array of int64
        For each channel of a group that is read, and each place of the kernel: where the input and the weight are.
    bases, targets : array of int64
        For each position, where its first input is, and where its result goes.
    columns, places : array of int64
        The same, but rows of positions may end with places that are no positions, whose result goes nowhere (-1).
    """

    inputs: Array
    weights: Array
    bases: Array
    targets: Array
    columns: Array
    places: Array


class Plan:
    """The tables of convolutions of one shape, for all batches.

    Attributes
    ----------
    size : tuple
        The spatial sizes of the output.
    ins, outs, taps, positions : int
        Channels of a group, places of the kernel, positions of the output.
    padded : Padding
        How the input is copied.
    plane : int
        The elements of a channel of the copied input.
    forward : Part
        What computes the output.
    """

    def __init__(
        self,
        channels: int,
        size: Sizes,
        weight: Sizes,
        stride: Sizes,
        padding: Pairs,
        dilation: Sizes,
        groups: int,
        lanes: int,
    ):
        kernel = weight[2:]
        self.geo = geo = geometry(size, kernel, stride, padding, dilation)
        self.size, self.positions, self.taps, self.channels = geo.size, geo.positions, geo.taps, channels
        self.groups, self.ins, self.outs = groups, weight[1], weight[0] // groups
        self.depthwise = groups == channels == weight[0]
        before = [first for first, _ in padding]
        self._axes = list(zip(size, kernel, stride, dilation, before, geo.size, strict=True))
        if self.depthwise or not self.positions:
            return
        highest = [(o - 1) * s + (k - 1) * d - first for _, k, s, d, first, o in self._axes]
        self.padded = padded = Padding(size, [-first for first in before], highest, stride[-1], geo.size == size)
        self.plane = prod(padded.size)
        taps = [
            [zeros - first + d * i for i in range(k)]
            for (_, k, _, d, first, _), zeros in zip(self._axes, padded.before, strict=True)
        ]
        self._lanes = lanes
        self.forward = self._part(
            padded.spare, _both(steps(self.ins, self.plane), padded.places(taps)), steps(self.ins * self.taps),
            padded.places([[s * i for i in range(o)] for _, _, s, _, _, o in self._axes]), steps(self.positions),
            geo.size[-1],
        )  # fmt: skip

    def _part(self, spare: bool, inputs: Array, weights: Array, bases: Array, targets: Array, row: int) -> Part:
        """A part with these tables. Its columns are the positions, row by row. Where a row is a little too short for
        whole vectors, places that are no positions fill it up, at most a fifth: then each row begins with a vector, and
        products read their vectors from the input itself.
        """
        more = -row % self._lanes
        if not spare or not more or 5 * more > row:
            return Part(inputs, weights, bases, targets, bases, targets)
        rows = bases.reshape(-1, row)
        beyond = rows[:, -1:] + numpy.arange(1, more + 1)
        none = numpy.full(beyond.shape, -1, numpy.int64)
        columns, places = numpy.concatenate([rows, beyond], 1), numpy.concatenate([targets.reshape(-1, row), none], 1)
        return Part(inputs, weights, bases, targets, columns.reshape(-1), places.reshape(-1))

    def of_samples(self, samples: int, sample: int, places: Array) -> tuple[int, Array]:
        """For how many of the samples a table of all positions is made, and the table: ``sample`` is how far apart
        samples are, and ``places`` are the positions of one.
        """
        n = max(1, min(samples, LONG // self.positions))
        return n, _both(steps(n, sample), places)

    @cached_property
    def gradient(self) -> tuple[Padding, list[Part]]:
        """How the output's gradient is copied, and the parts of the input's.

        With a stride, neighbours in the input are reached from different places of the kernel. A part has each
        ``stride``-th element of each dimension: those that the same places of the kernel reach.
        """
        axes = [
            [(r, [(t, (r + b - t * d) // s) for t in range(k) if (r + b - t * d) % s == 0]) for r in range(min(s, n))]
            for n, k, s, d, b, _ in self._axes
        ]
        moves = [[move for _, taps in axis for _, move in taps] or [0] for axis in axes]
        source = tuple([n for n, *_ in self._axes])
        highest = [max(m) + (n - 1) // s for (n, _, s, *_), m in zip(self._axes, moves, strict=True)]
        padded = Padding(self.size, [min(m) for m in moves], highest, 1, self.size == source)
        return padded, [self._phase(padded, phase) for phase in product(*axes)]

    def _phase(self, padded: Padding, phase: Sequence[tuple[int, list[tuple[int, int]]]]) -> Part:
        sizes = [range(-(-(n - r) // s)) for (n, _, s, *_), (r, _) in zip(self._axes, phase, strict=True)]
        moves = [[b + move for _, move in taps] for b, (_, taps) in zip(padded.before, phase, strict=True)]
        places = [
            [r + s * i for i in span] for (_, _, s, *_), (r, _), span in zip(self._axes, phase, sizes, strict=True)
        ]
        taps = _places([[t for t, _ in taps] for _, taps in phase], tuple([k for _, k, *_ in self._axes]))
        targets = _places(places, tuple([n for n, *_ in self._axes]))
        return self._part(
            padded.spare, _both(steps(self.outs, prod(padded.size)), padded.places(moves)),
            _both(steps(self.outs, self.ins * self.taps), taps), padded.places(sizes), targets, len(sizes[-1]),
        )  # fmt: skip


#: Positions of plans of which a few hundred are kept, and not just the last ones: their tables are small.
SMALL = 1 << 13


def plan(
    channels: int, size: Sizes, weight: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int, lanes: int
) -> Plan:
    """The plan for inputs with these channels and sizes, on a processor whose vectors have ``lanes`` numbers."""
    found = _small if prod(size) <= SMALL else _large
    return found(channels, size, weight, stride, padding, dilation, groups, lanes)


_small, _large = lru_cache(maxsize=256)(Plan), lru_cache(maxsize=8)(Plan)
