"""Gather's transposes, with CuPy's own scatter. An index out of range wraps around, as everywhere in CuPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy

from .. import scatter
from .launch import Array

#: What CUDA has no atomic addition for is added up in a dtype that it has one for.
_WIDER = {"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def add_at(out: Array, key: Any, values: Array) -> None:
    """Add values to ``out[key]``, as often as a place is named."""
    if out.dtype.kind == "c":
        for part, of_values in ((out.real, values.real), (out.imag, values.imag)):
            cupy.add.at(part, key, of_values)
    elif out.dtype.name in _WIDER:
        wide = out.astype(_WIDER[out.dtype.name])
        cupy.add.at(wide, key, values)
        out[...] = wide
    else:
        cupy.add.at(out, key, values)


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    out = cupy.zeros(shape, values.dtype)
    add_at(out, (slice(None),) * (axis % len(shape)) + (indices,), values)
    return out


OVERRIDES: dict[str, Callable] = {"index_add": index_add, **scatter.overrides(cupy, add_at)}
