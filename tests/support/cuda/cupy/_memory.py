"""Memory of GPUs. Memory that is not written yet, and the guards around each array, read as nan.

A kernel that reads beyond an array's end gets nan (-1 for integers). A kernel that writes there is found after the
launch.
"""

from __future__ import annotations

import types
import weakref
from typing import Any

import numpy

from ._device import Device, current

#: The number of guard bytes before and after each array, and their value: it makes nan of all floats, -1 of integers.
GUARD, PATTERN = 256, 0xFF


class Block(numpy.ndarray):
    """The bytes of one allocation: a guard, the memory, a guard. Its GPU is the one that was current."""

    device = 0


#: The live allocations, by the address of the memory between their guards.
BLOCKS: weakref.WeakValueDictionary[int, Block] = weakref.WeakValueDictionary()


def _allocate(shape: tuple[int, ...], dtype: numpy.dtype, strides: tuple[int, ...] | None, order: str) -> numpy.ndarray:
    size = dtype.itemsize
    for n in shape:
        size *= n
    block = Block((2 * GUARD + size,), numpy.uint8)
    block[:GUARD] = block[GUARD + size :] = PATTERN
    if size:
        block.device = current()
        BLOCKS[block.ctypes.data + GUARD] = block
    if strides is not None:
        return numpy.ndarray(shape, dtype, block, GUARD, strides)
    return numpy.ndarray(shape, dtype, block, GUARD, order=order)


def uninitialised(shape: Any, dtype: Any, order: str = "C") -> numpy.ndarray:
    """New memory that is not written yet."""
    shape = (shape,) if isinstance(shape, (int, numpy.integer)) else tuple([int(n) for n in shape])
    values = _allocate(shape, numpy.dtype(dtype), None, order)
    if values.dtype.kind == "b":
        values[...] = True  # only the bytes 0 and 1 are booleans
    elif values.size:
        block = values.base
        assert isinstance(block, numpy.ndarray)
        block[...] = PATTERN
    return values


def holding(values: Any, order: str = "C") -> numpy.ndarray:
    """New memory that holds these values."""
    values = numpy.asarray(values)
    if order == "K" and not values.flags.c_contiguous:
        form = numpy.empty_like(values)
        new = _allocate(values.shape, values.dtype, form.strides, "C")
    else:
        new = _allocate(values.shape, values.dtype, None, "F" if order == "F" else "C")
    new[...] = values
    return new


def block_of(values: numpy.ndarray) -> Block | None:
    """The allocation of an array. None if another library owns the memory (the array came by DLPack)."""
    owner: Any = values
    while isinstance(owner, numpy.ndarray) and not isinstance(owner, Block):
        owner = owner.base
    return owner


def check_guards(block: Block | None, name: str) -> None:
    """Fail if a kernel has written outside of an array."""
    if block is not None:
        size = block.size - 2 * GUARD
        intact = (block[:GUARD] == PATTERN).all() and (block[GUARD + size :] == PATTERN).all()
        block[:GUARD] = block[GUARD + size :] = PATTERN
        assert intact, f"{name} wrote outside of an array of {size} bytes"


class Address(int):
    """The address of an array's memory. It refers to the array, so that cuBLAS can check its operands."""

    array: Any

    @classmethod
    def of(cls, array: Any) -> Address:
        address = cls(array._values.ctypes.data if array.size else 0)
        address.array = array
        return address


def pointer(array: Any) -> types.SimpleNamespace:
    """``ndarray.data``."""
    return types.SimpleNamespace(ptr=Address.of(array), device_id=array._device, device=Device(array._device), mem=None)
