"""array-api-strict: the standard and nothing else, for tests. Any implicit conversion to NumPy raises, as on a GPU."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy

from . import dtypes
from .base import Array
from .standard_backend import StandardBackend

#: The device "strict". It is not the library's default device, so an array that a function forgets to put on the
#: device of its operands is noticed.
_DEVICE = array_api_strict.Device("device1")


class StrictBackend(StandardBackend):
    """array-api-strict, on a device that is not its default."""

    name = "strict"
    multi_device = True

    def __init__(self) -> None:
        super().__init__(array_api_strict, type(array_api_strict.zeros(())))

    def check_device(self, device: str, rest: str) -> str:
        if rest:
            array_api_strict.Device(rest)  # raises a ValueError that names the devices
            return device
        return self.name

    def device_of(self, array: Array) -> str:
        return self.name if array.device == _DEVICE else f"strict:{array.device._device}"

    def native_device(self, device: str) -> Any:
        return _DEVICE if device == self.name else array_api_strict.Device(device.partition(":")[2])

    def to_device(self, array: Array, device: str) -> Array:
        return array.to_device(self.native_device(device))

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        if array.dtype.kind == "V":
            raise dtypes.no_bfloat16(device)
        return array_api_strict.asarray(array, device=self.native_device(device), copy=True)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        return numpy.asarray(array.to_device(array_api_strict.Device("CPU_DEVICE")))

    def writable(self, array: Array) -> bool:
        writable: bool = array._array.flags.writeable
        return writable

    def contiguous(self, array: Array) -> bool:
        contiguous: bool = array._array.flags.c_contiguous
        return contiguous

    def strides(self, array: Array) -> tuple[int, ...]:
        strides: tuple[int, ...] = array._array.strides
        return strides

    def owner(self, array: Array) -> Any:
        base = array._array
        while type(base.base) is numpy.ndarray:
            base = base.base
        return base
