"""The shared base of backends whose library follows the Array API standard."""

from __future__ import annotations

from typing import Any

import numpy

from . import dtypes
from .base import Array, Backend


class StandardBackend(Backend):
    """A library that follows the standard. A subclass defines ``name``, and whatever differs from what stands here.

    The plain versions of the kernels run on the library, random numbers are drawn on the host, and there is one device.

    Parameters
    ----------
    module : module
        The library's namespace.
    array_type : type
        The type of its arrays.
    """

    #: The standard leaves open what an index out of range does, and what a key with several arrays means.
    indexes_as_numpy = False

    def __init__(self, module: Any, array_type: type):
        self.module = module
        self._array_type = array_type
        #: The library's dtype for each of the standard's, as far as it has them, and the other way round.
        self._native = {d: getattr(module, d.name) for d in dtypes.ALL if hasattr(module, d.name)}
        self._public = {native: public for public, native in self._native.items()}
        super().__init__()

    def is_array(self, value: Any) -> bool:
        return isinstance(value, self._array_type)

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        if writing:
            return kinds <= {"integer", "slice", "negative step"}
        return kinds <= {"integer", "slice", "negative step", "new axis"}

    def check_device(self, device: str, rest: str) -> str:
        if rest:
            raise ValueError(f"unknown device {device!r}; this backend has only {self.name!r}")
        return self.name

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        try:
            return self._public[dtype]
        except KeyError:
            raise dtypes.refused(dtype) from None

    def native_dtype(self, dtype: Any) -> Any:
        public = super().native_dtype(dtype)
        return None if public is None else self._native[public]

    def owns(self, array: Array) -> bool:
        return False  # the standard has no way to find out whether an array is a view

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        if array.dtype.kind == "V":
            raise dtypes.no_bfloat16(device)
        return self.module.asarray(array, dtype=self._native[array.dtype], copy=True)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        return numpy.asarray(array)
