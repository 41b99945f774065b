"""CuPy's versions of functions of the standard: fewer launches and copies, and no waiting for the GPU.

array-api-compat computes clip and sign by boolean masks, for which the host has to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import cupy

from ..base import Array
from .launch import REAL, can_gather, gather

_clip = cupy.ElementwiseKernel(
    "T x, T low, T high",
    "T out",
    "out = x < low || low != low ? low : x; out = out > high || high != high ? high : out",
    "rustorch_clip",
)
_sign = cupy.ElementwiseKernel("T x", "T out", "out = x != x ? x : (T)((x > (T)0) - (x < (T)0))", "rustorch_sign")


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Every element clipped to [min, max], in the dtype of ``x``.

    A bound that is nan gives nan. Where ``min`` is larger than ``max``, the result is ``max``.
    """
    limits = cupy.iinfo(x.dtype) if x.dtype.kind in "iu" else None
    low = None if limits and type(min) is int and min <= limits.min else _bound(x, min)
    high = None if limits and type(max) is int and max >= limits.max else _bound(x, max)
    if x.dtype in REAL and not low is high is None:
        return _clip(x, -cupy.inf if low is None else low, cupy.inf if high is None else high)
    if low is high is None:
        return x.copy()
    out = x if low is None else cupy.maximum(x, low)
    return out if high is None else cupy.minimum(out, high)


def _bound(x: Array, bound: Any) -> Any:
    return bound.astype(x.dtype, copy=False) if isinstance(bound, cupy.ndarray) else bound


def sign(x: Array, /) -> Array:
    """-1, 0 or 1 with the sign of ``x``, and nan for nan. For complex numbers ``x / abs(x)``."""
    if x.dtype in REAL:
        return _sign(x)
    if x.dtype.kind == "c":
        size = cupy.abs(x)
        return x / cupy.where(size == 0, cupy.ones_like(size), size)
    return cupy.sign(x)


def matmul(x1: Array, x2: Array, /) -> Array:
    """A stack of matrices times one matrix is one product of all their rows.

    CuPy would copy a transposed ``x2``, and would compute the address of every matrix.
    """
    if x1.ndim < 3 or x2.ndim != 2:
        return cupy.matmul(x1, x2)
    rows = x1.reshape(prod(x1.shape[:-1]), x1.shape[-1])
    return cupy.matmul(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Up to four arrays along a new first axis in one launch. CuPy would copy each array in a launch of its own."""
    first = arrays[0]
    if (
        len(arrays) < 2
        or axis not in (0, -1 - first.ndim)
        or not first.size
        or any(a.shape != first.shape for a in arrays)
    ):
        return cupy.stack(arrays, axis=axis)
    if not can_gather(*arrays):
        return cupy.stack(arrays, axis=axis)
    out = cupy.empty((len(arrays), *first.shape), first.dtype)
    gather(arrays, [out[i] for i in range(len(arrays))])
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"clip": clip, "sign": sign, "matmul": matmul, "stack": stack}
