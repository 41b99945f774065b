"""Any other namespace: array-api-strict, JAX and PyTorch, through array-api-compat.

They need no kernels of their own: the plain versions run on them. Scatters, which are quadratic in plain Array API,
have a linear override each.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy

from . import dtypes
from .base import Array, Backend, Namespace
from .kernels import KERNELS
from .kernels.linalg import by_inverse, by_svd


def _simple(name: str, rest: str) -> str:
    if rest:
        raise ValueError(f"unknown device {name + ':' + rest!r}; this backend has only {name!r}")
    return name


# -- array-api-strict --------------------------------------------------------------------------------------------------
class StrictBackend(Backend):
    """array-api-strict, on a device that is not its default: any implicit conversion to NumPy raises, as on a GPU."""

    name = "strict"
    multi_device = True
    indexes_as_numpy = False

    def __init__(self) -> None:
        import array_api_strict

        self.module = array_api_strict
        self._type = type(array_api_strict.zeros(()))
        self._home = array_api_strict.Device("device1")
        super().__init__()

    def is_array(self, value: Any) -> bool:
        return isinstance(value, self._type)

    def devices(self) -> list[str]:
        return ["strict"]

    def check_device(self, device: str, rest: str) -> str:
        if rest:
            self.module.Device(rest)  # raises ValueError, naming the devices there are
            return device
        return "strict"

    def device_of(self, array: Array) -> str:
        return "strict" if array.device == self._home else f"strict:{array.device._device}"

    def native_device(self, device: str) -> Any:
        return self._home if device == "strict" else self.module.Device(device.partition(":")[2])

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        return dtype._np_dtype

    def native_dtype(self, dtype: Any) -> Any:
        named = super().native_dtype(dtype)
        return None if named is None else getattr(self.module, named.name)

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        if array.dtype.kind == "V":
            raise dtypes.no_bfloat16(device)
        return self.module.asarray(array, device=self.native_device(device), copy=True)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        return numpy.asarray(array.to_device(self.module.Device("CPU_DEVICE")))

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        return kinds <= ({"integer", "slice", "backwards"} if writing else {"integer", "slice", "backwards", "new"})

    def to_device(self, array: Array, device: str) -> Array:
        return array.to_device(self.native_device(device))

    def writable(self, array: Array) -> bool:
        return array._array.flags.writeable

    def strides(self, array: Array) -> tuple[int, ...]:
        return array._array.strides

    def owner(self, array: Array) -> Any:
        base = array._array
        while type(base.base) is numpy.ndarray:
            base = base.base
        return base

    def owns(self, array: Array) -> bool:
        return False  # two of its arrays may wrap one


# -- jax ---------------------------------------------------------------------------------------------------------------
#: Kernels that JAX compiles whole, and which of their arguments are no arrays.
_COMPILED = {"max_pool": 1, "max_pool_gather": 2, "max_pool_grad": 2, "max_pool_indices": 1, "max_unpool": 2,
             "avg_pool": (1, 2), "avg_pool_grad": (1, 2), "conv": (3, 4, 5, 6),
             "conv_grad_input": (2, 3, 4, 5, 6), "conv_grad_weight": (2, 3, 4, 5, 6)}  # fmt: skip


class JaxBackend(Backend):
    """jax.numpy: arrays are immutable, and under ``jax.jit`` they are tracers.

    Naming the device switches JAX's 64-bit mode on: the standard's float64 and int64 do not exist without it. An array
    that arrives by itself switches nothing.
    """

    name = "jax"
    mutable = False
    indexes_as_numpy = False  # an index out of range is moved into range

    def __init__(self) -> None:
        import jax
        from jax.scipy.special import erf

        self._jax = jax
        self.module = jax.numpy
        self.overrides = {
            "index_add": self._index_add,
            "scatter_add": self._scatter_add,
            "put_add": self._put_add,
            "put": lambda x, value, key: x.at[key].set(value),
            "astype": self._astype,
            "erf": erf,
            "linalg": Namespace("jax", self._linalg),
            "cofactors": self._cofactors,
            # of int32 otherwise, where argmax and its like have the default integer
            "searchsorted": lambda x1, x2, /, *, side="left": jax.numpy.searchsorted(x1, x2, side=side).astype(int),
            # a tracer has no device
            "arange_like": lambda like, n: jax.numpy.arange(n, dtype=like.dtype),
        }
        super().__init__()
        # as one program each, not dozens of small ones
        for name, options in _COMPILED.items():
            self.overrides[name] = jax.jit(partial(KERNELS[name], self.xp), static_argnums=options)

    def is_array(self, value: Any) -> bool:
        return isinstance(value, self._jax.Array)

    def adopt(self, value: Any) -> Array:
        if value.dtype.name != "bfloat16":
            dtypes.admit(value.dtype)
        return value

    def check_device(self, device: str, rest: str) -> str:
        self._jax.config.update("jax_enable_x64", True)
        return _simple("jax", rest)

    def native_dtype(self, dtype: Any) -> Any:
        return None if dtype is None else dtypes.as_dtype(dtype)

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        return self.module.array(array)

    def to_numpy(self, array: Array) -> numpy.ndarray:
        return numpy.asarray(array)

    def as_array(self, value: Any) -> Array:
        return self.module.asarray(value)

    def owns(self, array: Array) -> bool:
        return True  # nobody can write into it

    def extent(self, indices: Array) -> tuple[int | None, int | None]:
        return (None, None) if isinstance(indices, self._jax.core.Tracer) else super().extent(indices)

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        return "switch" not in kinds

    def synchronize(self, device: str | None = None) -> None:
        for array in self._jax.live_arrays():
            array.block_until_ready()

    @staticmethod
    def _astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
        return (x.real if x.dtype.kind == "c" and numpy.dtype(dtype).kind not in "cb" else x).astype(dtype)

    def _linalg(self, name: str) -> Any:
        """JAX's function, and an error for matrices that have no result, where they can be seen: it does not look
        itself.
        """
        function = getattr(self.module.linalg, name)
        if name not in ("cholesky", "inv", "solve"):
            return function
        jax = self._jax

        def checked(x: Array, *others: Array) -> Array:
            out = function(x, *others)
            if not isinstance(out, jax.core.Tracer) and x.size:
                # nan stays nan; an exact zero among the pivots is what LAPACK reports, too
                bad = jax.numpy.isnan(out) if name == "cholesky" else self._pivots(x) == 0
                if bool(jax.numpy.any(bad)) and bool(jax.numpy.all(jax.numpy.isfinite(x))):
                    raise numpy.linalg.LinAlgError("not positive definite" if name == "cholesky" else "singular")
            return out

        return checked

    def _pivots(self, x: Array) -> Array:
        return self.module.linalg.diagonal(self._jax.lax.linalg.lu(x)[0])

    def _cofactors(self, x: Array) -> Array:
        """The plain version, with a branch that can be traced."""
        if 0 in x.shape:
            return self.module.zeros_like(x)
        out, singular = by_inverse(self.xp, x)
        return self._jax.lax.cond(
            self.module.any(singular), lambda out: by_svd(self.xp, x, out, singular), lambda out: out, out
        )

    def _index_add(self, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
        axis %= len(shape)
        return self.module.zeros(shape, values.dtype).at[(slice(None),) * axis + (indices,)].add(values)

    def _scatter_add(self, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
        axis %= len(shape)
        full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
        key = list(self.module.ogrid[tuple(slice(n) for n in full)]) if full else []
        key[axis] = self.module.broadcast_to(indices, full)
        return self.module.zeros(shape, values.dtype).at[tuple(key)].add(values)

    def _put_add(self, values: Array, shape: tuple[int, ...], key: Any) -> Array:
        return self.module.zeros(shape, values.dtype).at[key].add(values)


# -- torch -------------------------------------------------------------------------------------------------------------
class TorchBackend(Backend):
    """PyTorch's tensors as plain arrays; its own autograd stays off (tensors that require grad are detached)."""

    name = "torch"
    multi_device = True
    indexes_as_numpy = False

    def __init__(self) -> None:
        import array_api_compat.torch
        import torch

        self._torch = torch
        self.module = array_api_compat.torch
        self._dtypes = {getattr(torch, dtype.name): dtype for dtype in dtypes.ALL if hasattr(torch, dtype.name)}
        with contextlib.suppress(TypeError):  # without ml_dtypes
            self._dtypes[torch.bfloat16] = dtypes.as_dtype("bfloat16")
        self._native = {dtype: native for native, dtype in self._dtypes.items()}
        self._signed = {
            getattr(torch, f"uint{n}"): getattr(torch, f"int{n}") for n in (16, 32, 64) if hasattr(torch, f"uint{n}")
        }
        self.overrides: dict[str, Callable] = {
            "index_add": self._index_add,
            "scatter_add": self._scatter_add,
            "put_add": self._put_add,
            "take": self._take,
            "take_along_axis": self._take_along_axis,
            "erf": torch.erf,
        }
        super().__init__()

    def is_array(self, value: Any) -> bool:
        return isinstance(value, self._torch.Tensor)

    def adopt(self, value: Any) -> Array:
        if value.dtype not in self._dtypes:
            if value.dtype is self._torch.bfloat16:
                dtypes.as_dtype("bfloat16")  # raises: says what is missing
            raise dtypes.refused(str(value.dtype).removeprefix("torch."))
        if value.layout is not self._torch.strided:
            raise TypeError(
                f"a tensor of layout {value.layout} is not kept as one block of memory; make it dense, as in "
                f"x.to_dense()"
            )
        return value.detach() if value.requires_grad or type(value) is not self._torch.Tensor else value

    def check_device(self, device: str, rest: str) -> str:
        if rest in ("", "cpu"):
            return "torch"
        try:
            self._torch.empty(0, device=rest)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {device!r} cannot be used: {error}") from error
        return device

    def device_of(self, array: Array) -> str:
        return "torch" if array.device.type == "cpu" else f"torch:{array.device}"

    def native_device(self, device: str) -> Any:
        return self._torch.device("cpu" if device == "torch" else device.partition(":")[2])

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        return self._dtypes[dtype]

    def native_dtype(self, dtype: Any) -> Any:
        return None if dtype is None else self._native[dtypes.as_dtype(dtype)]

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        packed = numpy.ascontiguousarray(array).reshape(array.shape)
        if array.dtype.kind == "V":  # torch.tensor knows nothing of ml_dtypes
            return self.from_numpy(packed.view(numpy.int16), device).view(self._torch.bfloat16)
        return self._torch.tensor(packed, device=self.native_device(device))

    def to_numpy(self, array: Array) -> numpy.ndarray:
        host = array.detach().cpu()
        if array.dtype is self._torch.bfloat16:
            return host.view(self._torch.int16).numpy().view(self._dtypes[array.dtype])
        return host.resolve_conj().resolve_neg().numpy()

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        if kinds & {"backwards", "switch", "narrow"} or (
            writing and "array" in kinds
        ):  # which of two writes stays is open here
            return False
        return not (
            kinds & {"array", "mask"} and kinds & {"integer", "pointer"}
        )  # the latter would be no part of the former

    def to_device(self, array: Array, device: str) -> Array:
        return array.to(self.native_device(device))

    def owner(self, array: Array) -> Any:
        return array if array._base is None else array._base

    def owns(self, array: Array) -> bool:
        return False  # a view that spans the whole storage cannot be told from its base

    # PyTorch takes indices of 64 bits only, and moves unsigned integers of more than 8 bits nowhere: they go as signed
    # ones
    def _take(self, x: Array, indices: Array, /, *, axis: int) -> Array:
        signed = self._signed.get(x.dtype)
        if signed is not None:
            return self._take(x.view(signed), indices, axis=axis).view(x.dtype)
        return self.module.take(x, indices.to(self._torch.int64), axis=axis)

    def _take_along_axis(self, x: Array, indices: Array, /, *, axis: int = -1) -> Array:
        signed = self._signed.get(x.dtype)
        if signed is not None:
            return self._take_along_axis(x.view(signed), indices, axis=axis).view(x.dtype)
        return self._torch.take_along_dim(x, indices.to(self._torch.int64), dim=axis)

    def _index_add(self, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
        zeros = self._torch.zeros(shape, dtype=values.dtype, device=values.device)
        return zeros.index_add_(axis, self._torch.where(indices < 0, indices + shape[axis], indices), values)

    def _scatter_add(self, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
        axis %= len(shape)
        full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
        zeros = self._torch.zeros(shape, dtype=values.dtype, device=values.device)
        indices = self._torch.where(indices < 0, indices + shape[axis], indices).to(self._torch.int64)
        return zeros.scatter_add_(axis, indices.expand(full), values.expand(full))

    def _put_add(self, values: Array, shape: tuple[int, ...], key: Any) -> Array:
        positions = self._torch.arange(math.prod(shape), device=values.device).reshape(shape)[key]
        zeros = self._torch.zeros(math.prod(shape), dtype=values.dtype, device=values.device)
        return zeros.index_add_(0, positions.reshape(-1), values.expand(positions.shape).reshape(-1)).reshape(shape)
