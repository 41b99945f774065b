"""``cupy.cuda``: devices, the runtime, cuBLAS."""

from __future__ import annotations

from typing import Any

from .._device import Device, current
from . import cublas, device, runtime
from .device import get_cublas_handle

get_device_id = current

__all__ = [
    "Device",
    "Stream",
    "cublas",
    "device",
    "get_cublas_handle",
    "get_current_stream",
    "get_device_id",
    "is_available",
    "runtime",
]


class Stream:
    """A queue of launches. There is only one, and each launch runs when it is queued."""

    ptr = 0

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False):
        pass

    def synchronize(self) -> None:
        runtime.streamSynchronize(self.ptr)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


def get_current_stream() -> Stream:
    return Stream()


def is_available() -> bool:
    try:
        return runtime.getDeviceCount() > 0
    except runtime.CUDARuntimeError:
        return False
