"""Where windows of a convolution meet an image, and memory that a thread uses again.

Images of one and two dimensions are treated as volumes whose first sizes are 1.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes


class Geometry(NamedTuple):
    """Where a kernel meets an image.

    Attributes
    ----------
    numbers : array of int64
        Sizes, kernel, stride, padding before, dilation and sizes of the output, three each: what the loops need.
    size : tuple
        The spatial sizes of the output.
    positions, taps : int
        The number of positions of the output, and of places of the kernel.
    reach : array of int64
        Over how many places of a channel with its padding the kernel reaches, in three dimensions.
    """

    numbers: Array
    size: Sizes
    positions: int
    taps: int
    reach: Array


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
    return Geometry(numbers, outs, prod(outs), prod(kernel), numpy.array([*ones, *reach], numpy.int64))


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
