"""Sums at indices that may repeat, for libraries that have an ``add.at``: one body for NumPy and CuPy.

``library`` is the module. ``add_at(out, key, values)`` adds values to ``out[key]``; a place that the key names several
times gets all of its values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import Array

AddAt = Callable[[Array, Any, Array], None]


def scatter_add(library: Any, add_at: AddAt, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """The kernel of this name."""
    axis %= len(shape)
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    key = [library.arange(n).reshape((n,) + (1,) * (len(full) - 1 - i)) for i, n in enumerate(full)]
    key[axis] = library.broadcast_to(indices, full)
    out = library.zeros(shape, values.dtype)
    add_at(out, tuple(key), library.broadcast_to(values, full))
    return out


def put_add(library: Any, add_at: AddAt, values: Array, shape: tuple[int, ...], key: Any) -> Array:
    """The kernel of this name."""
    out = library.zeros(shape, values.dtype)
    parts = key if type(key) is tuple else (key,)
    if any(isinstance(part, library.ndarray) and part.dtype.kind != "b" for part in parts):
        add_at(out, key, values)
    else:  # slices, integers and masks name each element once
        out[key] = values
    return out
