"""``cupy.cuda``: devices, streams, the runtime, cuBLAS, NCCL."""

from __future__ import annotations

from .._device import Device, current
from .._stream import Event, Stream, get_current_stream
from . import cublas, device, runtime
from .device import get_cublas_handle

get_device_id = current

__all__ = [
    "Device",
    "Event",
    "Stream",
    "cublas",
    "device",
    "get_cublas_handle",
    "get_current_stream",
    "get_device_id",
    "is_available",
    "runtime",
]


def is_available() -> bool:
    try:
        return runtime.getDeviceCount() > 0
    except runtime.CUDARuntimeError:
        return False
