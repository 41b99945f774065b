"""Host arrays in memory of others, such as shared memory, and contiguous arrays for it."""

from __future__ import annotations

from typing import Any

import numpy


def bytes_of(buffer: Any) -> numpy.ndarray:
    """The bytes of an object with a buffer, as an array that shares its memory and keeps it alive."""
    return numpy.frombuffer(buffer, "uint8")


def contiguous(array: numpy.ndarray) -> numpy.ndarray:
    """The array itself if its elements lie one after another in C order, else a copy in which they do."""
    return numpy.asarray(array, order="C")


def is_contiguous(array: numpy.ndarray) -> bool:
    """Whether the elements lie one after another, in C or in Fortran order."""
    return array.flags.c_contiguous or array.flags.f_contiguous
