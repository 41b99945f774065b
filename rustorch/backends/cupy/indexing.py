"""Sums at indices, with ``cupy.add.at``. An index that is out of range wraps around, as everywhere in CuPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy

from .. import scatter
from ..base import Array

#: CUDA has no atomic addition for small integers: they are added in a wider dtype.
_WIDER = {"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def add_at(out: Array, key: Any, values: Array) -> None:
    """``out[key] += values`` in place. A place that the key names twice gets both values."""
    if out.dtype.kind == "c":
        for part, part_values in ((out.real, values.real), (out.imag, values.imag)):
            cupy.add.at(part, key, part_values)
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


def scatter_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    return scatter.scatter_add(cupy, add_at, values, indices, shape, axis)


def put_add(values: Array, shape: tuple[int, ...], key: Any) -> Array:
    return scatter.put_add(cupy, add_at, values, shape, key)


OVERRIDES: dict[str, Callable[..., Any]] = {
    "index_add": index_add,
    "scatter_add": scatter_add,
    "put_add": put_add,
}
