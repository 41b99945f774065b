"""Arrays as bytes, and bytes as arrays: little-endian and in C order, as files hold them."""

from __future__ import annotations

import sys
from math import prod

import numpy

from .base import Array
from .registry import of

_LITTLE = sys.byteorder == "little"


def contents(array: Array) -> memoryview:
    """The bytes of a native array. They are its own memory if it is on the host in this form, otherwise a copy."""
    backend = of(array)
    if backend is None:
        raise TypeError(f"{type(array).__name__} is no array of a library that rustorch knows")
    host = backend.to_numpy(array)
    host = numpy.ascontiguousarray(host, host.dtype.newbyteorder("<"))
    return host.reshape(-1).view(numpy.uint8).data


def from_contents(memory: memoryview, stored: str, dtype: str, shape: tuple[int, ...]) -> numpy.ndarray:
    """A NumPy array around bytes, writable if they are. It is a copy if they are not aligned or have another dtype.

    Parameters
    ----------
    memory : memoryview
        The bytes of the array.
    stored : str
        The name of their dtype; it may be "bfloat16", which NumPy does not have.
    dtype : str
        The name of the array's dtype: the same, or a floating-point dtype that holds all its values, or complex128 for
        pairs of float64.
    shape : tuple of int
        The shape of the array.

    Raises
    ------
    ValueError
        If no array can have this shape, or if a byte of a bool is neither 0 nor 1.
    """
    if not prod(shape):
        return numpy.empty(shape, dtype)
    if stored == "bfloat16":  # the upper half of a float32
        upper = _view(memory, "uint16", shape).astype("uint32")
        return (upper << 16).view("float32")
    if stored == "bool" and int(_view(memory, "uint8", shape).max()) > 1:
        raise ValueError("bytes of a bool that are neither 0 nor 1")  # NumPy computes nonsense with them
    array = _view(memory, dtype if dtype == "complex128" else stored, shape)
    return array if array.dtype.name == dtype else array.astype(dtype)


def _view(memory: memoryview, dtype: str, shape: tuple[int, ...]) -> numpy.ndarray:
    """An aligned array of a dtype around little-endian bytes, or a copy of them."""
    native = numpy.dtype(dtype)
    array: numpy.ndarray = numpy.ndarray(shape, native if _LITTLE else native.newbyteorder("<"), memory)
    if not array.flags.aligned:
        array = array.copy()
    return array.astype(native, copy=False)
