"""The CPU: NumPy, with overrides that use its own calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy

from .. import dtypes
from ..base import Array, Backend
from ..kernels.elementwise import SMALL_POWERS
from ..numba.availability import always, wanted
from ..numba.overrides import either, fuse
from . import OVERRIDES, fft, linalg, optim
from .memory import keep_freed_memory

#: Functions of NumPy that differ from the standard. array-api-compat repairs them; it is imported when one of them is
#: first used, because it would double the time of importing rustorch.
_REPAIRED = {
    "argsort", "sort", "nonzero", "count_nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    "ceil", "floor", "trunc", "finfo", "iinfo", "__array_namespace_info__", "searchsorted",
}  # fmt: skip
_INT64: Any = numpy.dtype("int64")
_UINT64: Any = numpy.dtype("uint64")
#: Functions that NumPy 2.0 lacks, or whose arguments it lacks -> the release that has them. array-api-compat has all.
_LATER = {"cumulative_sum": (2, 1), "cumulative_prod": (2, 1), "unstack": (2, 1), "clip": (2, 1)}
_NUMPY = tuple(map(int, numpy.__version__.split(".")[:2]))


class NumpyBackend(Backend):
    """NumPy's arrays, in the memory of the host."""

    name = "cpu"
    module = numpy
    together = True
    overrides = OVERRIDES

    def __init__(self) -> None:
        super().__init__()
        if wanted():
            self.xp.fuse, self.xp.fuse_least = fuse, 0 if always() else 1 << 13
        self._ones: dict[numpy.dtype, numpy.ndarray] = {}

    def _find(self, name: str) -> Any:
        if name == "fft":
            return fft.transforms()
        if name == "linalg":
            return linalg.functions()
        if name in _REPAIRED or (name not in self.overrides and name in _LATER and _LATER[name] > _NUMPY):
            usual = getattr(import_module("array_api_compat.numpy"), name)
        else:
            usual = super()._find(name)
        return either(name, usual) if callable(usual) else usual

    def _pow(self, x1: Any, x2: Any, /) -> Array:
        if type(x2) in (int, float) and x2 not in SMALL_POWERS and x2 % 1 == 0 and x1.dtype.kind == "f":
            # NumPy's power of a negative number takes up to 40 times as long as that of a positive number
            out = numpy.power(numpy.abs(x1), x2)
            return numpy.copysign(out, x1) if x2 % 2 else out
        return super()._pow(x1, x2)

    def fused(self, plain: Callable[..., Any]) -> Callable[..., Any] | None:
        if not wanted():
            return None
        from ..numba.fusing import Fused

        return Fused(plain)

    def prepare_training(self) -> None:
        keep_freed_memory()

    def steps(self, kernel: str, calls: Sequence[optim.Call]) -> Sequence[optim.Outcome | None]:
        return optim.steps(kernel, self.function(kernel), calls)

    def is_array(self, value: Any) -> bool:
        return isinstance(value, (numpy.ndarray, numpy.generic))

    def adopt(self, value: Any) -> numpy.ndarray:
        if isinstance(value, numpy.ma.MaskedArray):
            raise TypeError("a masked array would lose its mask; fill it first, as in array.filled(0)")
        array = numpy.asarray(value)
        dtype = array.dtype
        if not dtype.isnative:  # bytes in the other order, as in some files; no other library takes them
            dtype = dtype.newbyteorder("=")
        dtypes.admit(dtype)
        return array if dtype is array.dtype else array.astype(dtype, copy=False)

    def from_numpy(self, array: numpy.ndarray, device: str) -> numpy.ndarray:
        if array.dtype.kind == "V":
            raise dtypes.no_bfloat16(device)
        return array

    def to_numpy(self, array: numpy.ndarray) -> numpy.ndarray:
        return array

    def as_array(self, value: Any) -> numpy.ndarray:
        return numpy.asarray(value)

    def one(self, like: numpy.ndarray) -> numpy.ndarray:
        if like.ndim:
            return numpy.ones_like(like)
        one = self._ones.get(like.dtype)
        if one is None:
            one = self._ones[like.dtype] = numpy.ones_like(like)
            one.flags.writeable = False
        return one

    def extent(self, indices: numpy.ndarray) -> tuple[int | None, int | None]:
        if not indices.size:
            return None, None
        return int(numpy.minimum.reduce(indices, axis=None)), int(numpy.maximum.reduce(indices, axis=None))

    def within(self, indices: numpy.ndarray, size: int) -> bool:
        # viewed as unsigned, a negative number is larger than every size: one comparison checks both ends
        if indices.dtype is not _INT64 or not indices.size:
            return super().within(indices, size)
        return bool(numpy.maximum.reduce(indices.view(_UINT64), None) < size)

    def writable(self, array: numpy.ndarray) -> bool:
        return array.flags.writeable

    def contiguous(self, array: numpy.ndarray) -> bool:
        return array.flags.c_contiguous

    def offset(self, array: numpy.ndarray, flat: numpy.ndarray) -> int | None:
        distance: int = array.__array_interface__["data"][0] - flat.__array_interface__["data"][0]
        return distance // flat.itemsize

    def scale_into(self, out: numpy.ndarray, array: numpy.ndarray, factor: float) -> None:
        numpy.multiply(array, factor, out=out)  # one pass, where the plain version takes two

    def owner(self, array: numpy.ndarray) -> Any:
        while type(array.base) is numpy.ndarray:
            array = array.base
        return array if array.base is None else array.base

    def owns(self, array: numpy.ndarray) -> bool:
        return array.base is None
