"""Padding as a compiled loop over the rows of the result."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import ndarray

from .availability import always
from .kernel import Kernel

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.padding import Pairs

#: Elements of the result from which a compiled loop is faster than NumPy's copies.
_LEAST = 0 if always() else 1 << 14
#: Elements of a row of the result from which a compiled loop is faster: each row has some steps of its own. Measured
#: with two threads, for 400,000 elements of float32: 1.4 to 2.0 times NumPy's time for rows of 8, 1.0 to 1.3 for rows
#: of 16, 0.8 to 0.9 for rows of 32.
_SHORT = 1 if always() else 32
_FLOATS = {numpy.dtype("float32"), numpy.dtype("float64")}


def _pad(x: Any, out: Any, value: Any, numbers: Any, start: int, stop: int) -> None:
    """Copy a part of a row of a volume between two ends, or fill them. An item is a row of the result."""
    n0, n1, n2, m0, m1, m2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    b0, b1, b2 = numbers[6], numbers[7], numbers[8]
    first, begin = min(max(b2, 0), m2), max(-b2, 0)
    count = max(min(n2 - begin, m2 - first), 0)
    for row in range(start, stop):
        plane = row // m1
        volume = plane // m0
        i, j = plane - volume * m0 - b0, row - plane * m1 - b1
        inside = (i >= 0) & (i < n0) & (j >= 0) & (j < n1)
        at, place = row * m2, ((volume * n0 + i) * n1 + j) * n2 + begin
        if not inside:
            whole = out[at : at + m2]
            for k in range(whole.size):
                whole[k] = value
            continue
        head, target, tail = (
            out[at : at + first],
            out[at + first : at + first + count],
            out[at + first + count : at + m2],
        )
        source = x[place : place + count]
        for k in range(head.size):
            head[k] = value
        for k in range(target.size):
            target[k] = source[k]
        for k in range(tail.size):
            tail[k] = value


PAD = Kernel(_pad, "T[] T[] T i8[]", name="pad_constant")


def pad_constant(x: Array, pairs: Pairs, value: Any) -> Array:
    """As the plain version, for changes of at most three neighbouring axes."""
    if type(x) is not ndarray or x.dtype not in _FLOATS or not (x.flags.c_contiguous and x.flags.aligned):
        return NotImplemented
    shape = [n + before + after for n, (before, after) in zip(x.shape, pairs, strict=True)]
    size, changed = prod(shape), [i for i, pair in enumerate(pairs) if pair != (0, 0)]
    if size < max(_LEAST, 1) or not changed:
        return NotImplemented
    # axes in front of the first one that changes are volumes; those behind the last one belong to its rows
    axes, inner = list(range(changed[0], changed[-1] + 1)), prod(x.shape[changed[-1] + 1 :])
    launch = PAD.of(x.dtype, size) if len(axes) <= 3 else None
    if launch is None:
        return NotImplemented
    more = 3 - len(axes)
    numbers = [*[1] * more, *[x.shape[i] for i in axes], *[1] * more, *[shape[i] for i in axes],
               *[0] * more, *[pairs[i][0] for i in axes]]  # fmt: skip
    for i in (2, 5, 8):
        numbers[i] *= inner
    if numbers[5] < _SHORT or size == numbers[5]:  # NumPy copies a single row as fast
        return NotImplemented
    out = numpy.empty(shape, x.dtype)
    launch(size // numbers[5], size, x, out, value, numpy.array(numbers, numpy.int64))
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"pad_constant": pad_constant}
