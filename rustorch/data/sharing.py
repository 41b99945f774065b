"""How objects travel between processes: their arrays through shared memory, the rest pickled.

An object is pickled with its large arrays left out. Their bytes are written into a segment of shared memory, one array
after another, and the receiver builds the arrays upon that memory, without a copy.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from ..backends import of
from ..backends.host_memory import bytes_of, contiguous, is_contiguous
from ..ops.from_data import asarray
from ..variable import Variable

#: Smaller arrays are pickled with the rest: this takes less time than their place in shared memory.
LEAST = 1024
#: The first byte of each array is at a multiple of this: the size of a cache line, which some libraries ask for.
_ALIGNMENT = 64


# -- segments ----------------------------------------------------------------------------------------------------------
class Segment(SharedMemory):
    """A segment of shared memory. It is unmapped when neither the segment nor an array upon it is alive.

    Some process has to call ``unlink``, which removes the name.
    """

    def let_go_of_file(self) -> None:
        """Close the file behind the memory, so that it does not count among the open files of this process."""
        descriptor = getattr(self, "_fd", -1)  # Windows has none
        if descriptor >= 0:
            os.close(descriptor)
            self._fd = -1

    def __del__(self) -> None:
        with suppress(BufferError, OSError):  # arrays upon this memory keep it mapped until they are gone
            self.close()


def create_segment(name: str, size: int) -> Segment | None:
    """A new segment; None if there is no room, or no shared memory at all.

    Containers often have 64 MB. Without the reservation here, the process would be killed when it writes past the end.
    """
    try:
        segment = Segment(name, create=True, size=size)
    except OSError:
        return None
    if hasattr(os, "posix_fallocate") and getattr(segment, "_fd", -1) >= 0:
        try:
            os.posix_fallocate(segment._fd, 0, size)
        except OSError:
            segment.close()
            segment.unlink()
            return None
    segment.let_go_of_file()
    return segment


def open_segment(name: str) -> Segment | None:
    """The segment of this name that another process made; None if there is none."""
    try:
        segment = Segment(name)
    except FileNotFoundError:
        return None
    segment.let_go_of_file()
    return segment


def private_copy(name: str) -> memoryview:
    """The contents of a segment. The memory is shared with other processes until this one writes into it."""
    segment = Segment(name)
    descriptor = getattr(segment, "_fd", -1)
    if descriptor < 0:
        return memoryview(bytearray(view(segment)))
    return memoryview(mmap.mmap(descriptor, segment.size, access=mmap.ACCESS_COPY))


# -- places in a segment -----------------------------------------------------------------------------------------------
def places(sizes: Sequence[int]) -> tuple[list[int], int]:
    """The position of the first byte of each array in a segment, and the size of the segment."""
    positions, end = [], 0
    for size in sizes:
        positions.append(end)
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return positions, end


def write(segment: Segment, buffers: Sequence[memoryview]) -> None:
    """Write buffers into a segment, at their `places`."""
    memory = segment.buf
    assert memory is not None
    for start, buffer in zip(places([b.nbytes for b in buffers])[0], buffers, strict=True):
        memory[start : start + buffer.nbytes] = buffer


def parts(memory: Any, sizes: Sequence[int]) -> list[Any]:
    """The parts of a segment's memory that hold the buffers."""
    return [memory[start : start + size] for start, size in zip(places(sizes)[0], sizes, strict=True)]


def view(segment: Segment) -> Any:
    """The memory of a segment as an array of bytes. Arrays upon it keep this array alive."""
    return bytes_of(segment.buf)


# -- pickles -----------------------------------------------------------------------------------------------------------
def _restored(host: Any, device: str, requires_grad: bool) -> Variable:
    """A Variable on a device, from a host array."""
    return Variable(asarray(host, device=device).data, requires_grad)


class _Pickler(pickle.Pickler):
    """Pickles with arrays left out. Variables travel as contiguous host arrays."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Variable or value._node is not None or value._grad is not None:
            return NotImplemented
        backend: Any = of(value._native)
        if backend.name == "cpu" and is_contiguous(value._native):
            return NotImplemented
        host = contiguous(backend.to_numpy(value._native))
        return _restored, (host, value.device, value.requires_grad)


def pack(value: Any) -> tuple[bytes, list[memoryview]]:
    """An object as a pickle, and the memory of its large arrays, which the pickle leaves out.

    Raises
    ------
    pickle.PicklingError, TypeError, AttributeError, RuntimeError, ...
        If a part of the object cannot be pickled.
    """
    buffers: list[memoryview] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        memory = buffer.raw()
        if memory.nbytes >= LEAST:
            buffers.append(memory)
        return memory.nbytes < LEAST

    file = io.BytesIO()
    _Pickler(file, 5, buffer_callback=is_small).dump(value)
    return file.getvalue(), buffers


def unpack(data: bytes, buffers: Sequence[Any]) -> Any:
    """The object, whose large arrays are built upon the given memory."""
    return pickle.loads(data, buffers=buffers)
