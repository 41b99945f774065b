"""PyTorch's tensors as plain arrays. PyTorch's own autograd stays off: tensors that require grad are detached."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from math import prod
from typing import Any

import array_api_compat.torch
import numpy
import torch

from . import dtypes
from .base import Array
from .standard_backend import StandardBackend


class TorchBackend(StandardBackend):
    """PyTorch's tensors. "torch" is the CPU; "torch:cuda" and the like are PyTorch's other devices."""

    name = "torch"
    multi_device = True

    def __init__(self) -> None:
        super().__init__(array_api_compat.torch, torch.Tensor)
        with contextlib.suppress(TypeError):  # without the package ml_dtypes, NumPy has no bfloat16
            self._native[dtypes.as_dtype("bfloat16")] = torch.bfloat16
            self._public[torch.bfloat16] = dtypes.as_dtype("bfloat16")
        self.overrides = OVERRIDES

    def adopt(self, value: Any) -> Array:
        if value.dtype not in self._public:
            if value.dtype is torch.bfloat16:
                dtypes.as_dtype("bfloat16")  # raises an error that says what is missing
            raise dtypes.refused(str(value.dtype).removeprefix("torch."))
        if value.layout is not torch.strided:
            raise TypeError(
                f"a tensor of layout {value.layout} is not kept as one block of memory; make it dense, as in "
                f"x.to_dense()"
            )
        return value.detach() if value.requires_grad or type(value) is not torch.Tensor else value

    def check_device(self, device: str, rest: str) -> str:
        if rest in ("", "cpu"):
            return self.name
        try:
            torch.empty(0, device=rest)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {device!r} cannot be used: {error}") from error
        return device

    def device_of(self, array: Array) -> str:
        return self.name if array.device.type == "cpu" else f"torch:{array.device}"

    def native_device(self, device: str) -> Any:
        return torch.device("cpu" if device == self.name else device.partition(":")[2])

    def to_device(self, array: Array, device: str) -> Array:
        return array.to(self.native_device(device))

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        return self._public[dtype]

    def native_dtype(self, dtype: Any) -> Any:
        return None if dtype is None else self._native[dtypes.as_dtype(dtype)]

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        packed = numpy.ascontiguousarray(array).reshape(array.shape)
        if array.dtype.kind == "V":  # torch.tensor does not know the dtypes of ml_dtypes
            return self.from_numpy(packed.view(numpy.int16), device).view(torch.bfloat16)
        return torch.tensor(packed, device=self.native_device(device))

    def to_numpy(self, array: Array) -> numpy.ndarray:
        host = array.detach().cpu()
        values: numpy.ndarray
        if array.dtype is torch.bfloat16:
            values = host.view(torch.int16).numpy().view(self._public[array.dtype])
        else:
            values = host.resolve_conj().resolve_neg().numpy()
        return values

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        if kinds & {"negative step", "0-d mask", "not int64"}:
            return False
        if writing and "array" in kinds:  # PyTorch leaves open which of two values written to one place stays
            return False
        # PyTorch keeps an integer apart from the arrays; in NumPy it is one of them
        return not (kinds & {"array", "mask"} and kinds & {"integer", "0-d array"})

    def contiguous(self, array: Array) -> bool:
        contiguous: bool = array.is_contiguous()
        return contiguous

    def owner(self, array: Array) -> Any:
        return array if array._base is None else array._base


# -- functions of the standard: PyTorch takes indices of 64 bits only, and cannot index unsigned integers of more than 8
# bits, so they are viewed as signed ones
_SIGNED = {getattr(torch, f"uint{n}"): getattr(torch, f"int{n}") for n in (16, 32, 64) if hasattr(torch, f"uint{n}")}


def take(x: Array, indices: Array, /, *, axis: int) -> Array:
    signed = _SIGNED.get(x.dtype)
    if signed is not None:
        return take(x.view(signed), indices, axis=axis).view(x.dtype)
    return array_api_compat.torch.take(x, indices.to(torch.int64), axis=axis)


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    signed = _SIGNED.get(x.dtype)
    if signed is not None:
        return take_along_axis(x.view(signed), indices, axis=axis).view(x.dtype)
    return torch.take_along_dim(x, indices.to(torch.int64), dim=axis)


# -- kernels -----------------------------------------------------------------------------------------------------------
def erf(x: Array) -> Array:
    return torch.erf(x)


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    zeros = torch.zeros(shape, dtype=values.dtype, device=values.device)
    return zeros.index_add_(axis, torch.where(indices < 0, indices + shape[axis], indices), values)


def scatter_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    axis %= len(shape)
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    zeros = torch.zeros(shape, dtype=values.dtype, device=values.device)
    indices = torch.where(indices < 0, indices + shape[axis], indices).to(torch.int64)
    return zeros.scatter_add_(axis, indices.expand(full), values.expand(full))


def put_add(values: Array, shape: tuple[int, ...], key: Any) -> Array:
    places = torch.arange(prod(shape), device=values.device).reshape(shape)[key]
    zeros = torch.zeros(prod(shape), dtype=values.dtype, device=values.device)
    return zeros.index_add_(0, places.reshape(-1), values.expand(places.shape).reshape(-1)).reshape(shape)


OVERRIDES: dict[str, Callable[..., Any]] = {
    "take": take,
    "take_along_axis": take_along_axis,
    "erf": erf,
    "index_add": index_add,
    "scatter_add": scatter_add,
    "put_add": put_add,
}
