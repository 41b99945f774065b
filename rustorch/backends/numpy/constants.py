"""Arrays of ones that are made once for each size, and the integer dtypes that view floats as bits."""

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
