"""Gather's transposes, with CuPy's own scatter."""

from __future__ import annotations

from collections.abc import Callable

import cupy

from .. import scatter
from .launch import Array


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    out = cupy.zeros(shape, values.dtype)
    out.scatter_add((slice(None),) * (axis % len(shape)) + (indices,), values)
    return out


OVERRIDES: dict[str, Callable] = {"index_add": index_add, **scatter.overrides(cupy)}
