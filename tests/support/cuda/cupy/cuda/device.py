"""``cupy.cuda.device``: the current GPU, and its handle of cuBLAS."""

from __future__ import annotations

from .._device import Device
from .._device import current as get_device_id

__all__ = ["Device", "get_cublas_handle", "get_device_id"]


def get_cublas_handle() -> int:
    """The handle of the current GPU. cuBLAS refuses the handle of another GPU."""
    return get_device_id() + 1
