"""The standard's functions of single numbers that array-api-compat computes on CuPy by boolean masks, for which the host has to wait."""

from __future__ import annotations

from typing import Any

import cupy

from .launch import REAL, Array

_clip = cupy.ElementwiseKernel(
    "T x, T low, T high",
    "T out",
    "out = x < low || low != low ? low : x; out = out > high || high != high ? high : out",
    "rustorch_clip",
)
_sign = cupy.ElementwiseKernel("T x", "T out", "out = x != x ? x : (T)((x > (T)0) - (x < (T)0))", "rustorch_sign")


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """Every element in [min, max], in the dtype of ``x``. A bound that is nan gives nan; where the bounds cross, the upper one counts."""
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
    """-1, 0 or 1 with the sign of ``x``, and nan for nan; for complex numbers ``x / abs(x)``."""
    if x.dtype in REAL:
        return _sign(x)
    if x.dtype.kind == "c":
        return cupy.where(x == 0, cupy.zeros_like(x), x / cupy.abs(x))
    return cupy.sign(x)


OVERRIDES = {"clip": clip, "sign": sign}
