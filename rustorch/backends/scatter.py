"""Scatter-add where a library has NumPy's ``add.at``: one body for NumPy and CuPy.

``library`` is the module, and ``add_at(out, key, values)`` adds values to ``out[key]``, as often as a place is named.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .base import Array


def scatter_add(
    library: Any, add_at: Callable, values: Array, indices: Array, shape: tuple[int, ...], axis: int
) -> Array:
    axis %= len(shape)
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    key = [library.arange(n).reshape((n,) + (1,) * (len(full) - 1 - i)) for i, n in enumerate(full)]
    key[axis] = library.broadcast_to(indices, full)
    out = library.zeros(shape, values.dtype)
    add_at(out, tuple(key), library.broadcast_to(values, full))
    return out


def put_add(library: Any, add_at: Callable, values: Array, shape: tuple[int, ...], key: Any) -> Array:
    out = library.zeros(shape, values.dtype)
    parts = key if type(key) is tuple else (key,)
    if any(isinstance(part, library.ndarray) and part.dtype.kind != "b" for part in parts):
        add_at(out, key, values)
    else:  # slices, integers and masks name each element once
        out[key] = values
    return out


def overrides(library: Any, add_at: Callable) -> dict[str, Callable]:
    """The kernels by name."""
    return {function.__name__: partial(function, library, add_at) for function in (scatter_add, put_add)}
