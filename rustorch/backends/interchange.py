"""Arrays from one device or library to another: copies, DLPack, and shared memory."""

from __future__ import annotations

from typing import Any

import numpy

from .base import Array, Backend
from .registry import CPU, get, load, of


def _backend_of(array: Array) -> Backend:
    backend = of(array)
    if backend is None:
        raise TypeError(f"{type(array).__name__} is no array of a library that rustorch knows")
    return backend


def transfer(array: Array, device: str) -> Array:
    """A native array on another device, or itself if it is there. Between libraries, it is copied through the host."""
    source, target = _backend_of(array), get(device)
    if source is target:
        return source.to_device(array, device)
    host = target.from_numpy(source.to_numpy(array), device)
    return host.copy() if target is CPU else host  # on the host, a torch tensor's values share its memory


def from_dlpack_array(value: Any) -> Array:
    """A native array around the memory of any object that speaks DLPack: of NumPy, or of CuPy for memory of a GPU."""
    backend = of(value)
    if backend is not None:
        return backend.adopt(value)
    if not hasattr(value, "__dlpack__") or not hasattr(value, "__dlpack_device__"):
        raise AttributeError(f"from_dlpack: {type(value).__name__} has no __dlpack__ and __dlpack_device__")
    memory = int(value.__dlpack_device__()[0])
    if memory not in (1, 2):
        raise ValueError(f"from_dlpack: memory of DLPack device type {memory} is neither the CPU's (1) nor CUDA's (2)")
    backend = CPU if memory == 1 else load("cuda")
    return backend.adopt(backend.module.from_dlpack(value))


def shared(array: Array, device: str) -> Array | None:
    """An array of another library around the memory of a native array, or None if that is impossible.

    Only memory that may be written is shared: JAX's arrays and read-only arrays of NumPy must never change.
    """
    source, target = of(array), get(device)
    if source is None or not (source.writable(array) and target.mutable):
        return None
    if any(step < 0 for step in source.strides(array)):  # PyTorch ends the process
        return None
    try:
        if array.__dlpack_device__() != target.from_numpy(numpy.empty(0), device).__dlpack_device__():
            return None
        view = target.module.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError, ValueError):
        return None  # read-only memory, or a dtype that DLPack or the library does not have
    return view if target.device_of(view) == device else None
