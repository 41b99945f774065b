"""Arrays as bytes, and bytes as arrays: little-endian, in C order, as files hold them."""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy

from .base import Array
from .registry import of

_LITTLE = sys.byteorder == "little"


def contents(array: Array) -> memoryview:
    """The bytes of a native array: its own memory where it lies on the host as files have it, a copy elsewhere."""
    backend: Any = of(array)
    host: numpy.ndarray = backend.to_numpy(array)
    host = numpy.ascontiguousarray(host, host.dtype.newbyteorder("<"))
    return host.reshape(-1).view(numpy.uint8).data


def from_contents(memory: memoryview, stored: str, dtype: str, shape: tuple[int, ...]) -> numpy.ndarray:
    """A NumPy array around bytes, writable as they are; a copy where they are not aligned, or in another dtype.

    Parameters
    ----------
    memory : memoryview
        As many bytes as the array has.
    stored : str
        The name of the dtype in which they are; "bfloat16" is one, though NumPy has none.
    dtype : str
        The name of the array's dtype: the same, or a float that holds all values of it, or complex128 for pairs of
        float64.
    shape : tuple of int
        Of the array.

    Raises
    ------
    ValueError
        If there can be no array of this shape, or bytes of a bool are neither 0 nor 1.
    """
    if not prod(shape):
        return numpy.empty(shape, dtype)
    if stored == "bfloat16":  # the upper half of a float32
        upper = _view(memory, "uint16", shape).astype("uint32")
        return (upper << 16).view("float32")
    if stored == "bool" and int(_view(memory, "uint8", shape).max()) > 1:
        raise ValueError("bytes of a bool that are neither 0 nor 1")  # NumPy computes nonsense with them
    found = _view(memory, dtype if dtype == "complex128" else stored, shape)
    return found if found.dtype.name == dtype else found.astype(dtype)


def _view(memory: memoryview, dtype: str, shape: tuple[int, ...]) -> numpy.ndarray:
    native = numpy.dtype(dtype)
    found = numpy.ndarray(shape, native if _LITTLE else native.newbyteorder("<"), memory)
    if not found.flags.aligned:
        found = found.copy()
    return found.astype(native, copy=False)
