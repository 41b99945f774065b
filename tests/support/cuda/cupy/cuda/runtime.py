"""``cupy.cuda.runtime``: versions, properties, and waiting."""

from __future__ import annotations

from typing import Any

from .._device import CUDARuntimeError, choose, current
from .._device import count as getDeviceCount
from .._log import record
from .._stream import of_address, synchronize

__all__ = [
    "CUDARuntimeError", "deviceSynchronize", "driverGetVersion", "getDevice", "getDeviceCount", "getDeviceProperties",
    "runtimeGetVersion", "setDevice", "streamSynchronize",
]  # fmt: skip

getDevice, setDevice = current, choose


def getDeviceProperties(number: int) -> dict[str, Any]:
    getDeviceCount()
    return {"name": b"a stand-in for a GPU", "major": 8, "minor": 0, "multiProcessorCount": 1}


def deviceSynchronize() -> None:
    record("sync", "deviceSynchronize")
    synchronize(current())


def streamSynchronize(stream: int) -> None:
    of_address(stream).synchronize()


def driverGetVersion() -> int:
    return 13000


def runtimeGetVersion() -> int:
    return 13000
