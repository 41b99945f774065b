"""GPUs, of which there are as many as ``CUPY_STAND_IN_GPUS`` says (default: 1), and the one that is current in this
thread.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ._log import record

#: How many GPUs there are; 0 is a machine without one.
GPUS = int(os.environ.get("CUPY_STAND_IN_GPUS", "1"))

_thread = threading.local()


class CUDARuntimeError(RuntimeError):
    """What CUDA's runtime answers to a call that it refuses."""


def count() -> int:
    """``cudaGetDeviceCount``, which is an error where there is no GPU."""
    if GPUS < 1:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return GPUS


def current() -> int:
    """The number of the current GPU: kernels are launched there, and memory is allocated there."""
    count()
    return getattr(_thread, "device", 0)


def choose(number: int) -> None:
    """``cudaSetDevice``."""
    if not 0 <= number < count():
        raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
    _thread.device = number


def check(array: Any) -> None:
    """Refuse an array of another GPU than the current one, as CuPy does where GPUs cannot read each other's memory."""
    if array._device != current():
        raise ValueError(
            f"The device where the array resides ({array._device}) is different from the current device ({current()}). "
            f"Peer access is unavailable between these devices."
        )


class Device:
    """A GPU; as a context manager, it is the current one within."""

    def __init__(self, device: Any = None):
        self.id = current() if device is None else int(device)
        self._before: list[int] = []

    def __enter__(self) -> Device:
        before = current()
        choose(self.id)
        self._before.append(before)
        return self

    def __exit__(self, *error: Any) -> None:
        choose(self._before.pop())

    def use(self) -> Device:
        choose(self.id)
        return self

    def synchronize(self) -> None:
        record("sync", "Device.synchronize")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __int__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"
