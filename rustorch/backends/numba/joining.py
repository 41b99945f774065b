"""Joining large arrays: the threads copy parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import ndarray

from .availability import always
from .kernel import GRAIN, Kernel

if TYPE_CHECKING:
    from ..base import Array

#: Elements of the result from which copying in several threads is faster than NumPy's, which is limited by one core.
_LEAST = 0 if always() else 1 << 18


def _place(x: Any, out: Any, length: int, pitch: int, offset: int, pieces: int, start: int, stop: int) -> None:
    """Copy rows of ``length`` elements to rows that are ``pitch`` apart. An item is one of the ``pieces`` of a row."""
    for item in range(start, stop):
        row = item // pieces
        piece = item - row * pieces
        first, end = length * piece // pieces, length * (piece + 1) // pieces
        source = x[row * length + first : row * length + end]
        target = out[row * pitch + offset + first : row * pitch + offset + end]
        for i in range(target.size):
            target[i] = source[i]


PLACE = Kernel(_place, "T[] T[] int int int int", name="concat")


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """The standard's concat."""
    first = arrays[0] if arrays else None
    if axis is None or type(first) is not ndarray or sum(a.size for a in arrays) < max(_LEAST, 1):
        return NotImplemented
    if not 0 <= axis + first.ndim * (axis < 0) < first.ndim:
        return NotImplemented
    axis %= first.ndim
    before, after = first.shape[:axis], first.shape[axis + 1 :]
    for a in arrays:
        if type(a) is not ndarray or a.dtype is not first.dtype or not (a.flags.c_contiguous and a.flags.aligned):
            return NotImplemented
        if a.ndim != first.ndim or a.shape[:axis] != before or a.shape[axis + 1 :] != after:
            return NotImplemented
    out = numpy.empty((*before, sum(a.shape[axis] for a in arrays), *after), first.dtype)
    launch = PLACE.of(first.dtype, out.size)
    if launch is None:
        return NotImplemented
    rows, inner, offset = prod(before), prod(after), 0
    for a in arrays:
        length = a.shape[axis] * inner
        pieces = max(1, min(length // GRAIN, 64))
        if a.size:
            launch(rows * pieces, a.size, a, out, length, out.shape[axis] * inner, offset, pieces)
        offset += length
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"concat": concat}
