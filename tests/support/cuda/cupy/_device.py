"""The GPUs and the current GPU of each thread. ``CUPY_STAND_IN_GPUS`` is the number of GPUs (default: 1)."""

from __future__ import annotations

import os
import threading
from typing import Any

from ._log import record

#: The number of GPUs. 0 stands for a machine without a GPU.
GPUS = int(os.environ.get("CUPY_STAND_IN_GPUS", "1"))

_thread = threading.local()


class CUDARuntimeError(RuntimeError):
    """An error of CUDA's runtime."""


def count() -> int:
    """``cudaGetDeviceCount``. It is an error if there is no GPU."""
    if GPUS < 1:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return GPUS


def current() -> int:
    """The number of the current GPU, where kernels run and memory is allocated."""
    count()
    return getattr(_thread, "device", 0)


def choose(number: int) -> None:
    """``cudaSetDevice``."""
    if not 0 <= number < count():
        raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
    _thread.device = number


def check(array: Any) -> None:
    """Refuse an array that is not on the current GPU, as CuPy does where GPUs cannot read each other's memory."""
    if array._device != current():
        raise ValueError(
            f"The device where the array resides ({array._device}) is different from the current device ({current()}). "
            f"Peer access is unavailable between these devices."
        )


class Device:
    """A GPU. As a context manager, it makes the GPU the current one."""

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
        from . import _stream

        record("sync", "Device.synchronize")
        _stream.synchronize(self.id)

    @property
    def pci_bus_id(self) -> str:
        return f"0000:{self.id + 1:02X}:00.0"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __int__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"
