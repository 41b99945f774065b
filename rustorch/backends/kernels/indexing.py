"""Gather's transposes: sums of values into an array of zeros, at indices that may repeat; and ``x[key] = v`` as a
value.

The standard has no scatter, so the plain versions of the sums compare every target position with every index: right on
every library, traceable, and quadratic. Each backend has a linear override.
"""

from __future__ import annotations

from math import prod
from typing import Any


def arange_like(xp: Any, like: Any, n: int) -> Any:
    """The integers below ``n``, in the dtype and on the device of ``like``."""
    return xp.arange(n, dtype=like.dtype, device=like.device)


def _bincount(xp: Any, size: int, indices: Any, values: Any) -> Any:
    """``out[i] = sum(values[indices == i])`` for flat ``indices`` and ``values`` of shape (n, k); out is (size, k)."""
    rows = xp.arange_like(indices, size)
    hits = xp.expand_dims(xp.expand_dims(rows, axis=1) == xp.expand_dims(indices, axis=0), axis=2)
    # a select, not a product: 0 * inf would be nan
    picked = xp.where(hits, xp.expand_dims(values, axis=0), xp.zeros_like(values))
    return xp.sum(picked, axis=1, dtype=values.dtype)


def _wrapped(xp: Any, indices: Any, size: int) -> Any:
    return xp.where(indices < 0, indices + size, indices)


def index_add(xp: Any, values: Any, indices: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros of ``shape`` with slice ``i`` of ``values`` along ``axis`` added at ``indices[i]``: the transpose
    of take.
    """
    axis %= len(shape)
    rest = shape[:axis] + shape[axis + 1 :]
    flat = xp.reshape(xp.moveaxis(values, axis, 0), (values.shape[axis], prod(rest)))
    out = _bincount(xp, shape[axis], _wrapped(xp, indices, shape[axis]), flat)
    return xp.moveaxis(xp.reshape(out, (shape[axis], *rest)), 0, axis)


def scatter_add(xp: Any, values: Any, indices: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Zeros of ``shape`` with ``values`` added at ``indices`` along ``axis``: the transpose of take_along_axis."""
    axis %= len(shape)
    # indices and values broadcast to each other and to shape in every other axis
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    indices = xp.broadcast_to(_wrapped(xp, indices, shape[axis]), full)
    values = xp.broadcast_to(values, full)
    rows = xp.reshape(xp.moveaxis(indices, axis, 0), (full[axis], -1 if prod(full) else 0))
    flat = xp.reshape(xp.moveaxis(values, axis, 0), rows.shape)
    places = xp.arange_like(rows, shape[axis])
    hits = xp.expand_dims(xp.expand_dims(places, axis=1), axis=1) == xp.expand_dims(rows, axis=0)
    out = xp.sum(xp.where(hits, xp.expand_dims(flat, axis=0), xp.zeros_like(flat)), axis=1, dtype=values.dtype)
    return xp.moveaxis(xp.reshape(out, (shape[axis], *shape[:axis], *shape[axis + 1 :])), 0, axis)


def put_add(xp: Any, values: Any, shape: tuple[int, ...], key: Any) -> Any:
    """Zeros of ``shape`` with ``values`` added at ``key``: the transpose of ``x[key]``."""
    positions = xp.reshape(xp.arange(prod(shape), device=values.device), shape)[key]
    flat = xp.reshape(xp.broadcast_to(values, positions.shape), (prod(positions.shape), 1))
    out = _bincount(xp, prod(shape), xp.reshape(positions, (prod(positions.shape),)), flat)
    return xp.reshape(out, shape)


def put(xp: Any, x: Any, value: Any, key: Any) -> Any:
    """A copy of ``x`` in which ``copy[key] = value`` was done."""
    out = xp.asarray(x, copy=True)
    out[key] = value
    return out


def overwrite(xp: Any, x: Any, values: Any, places: Any) -> Any:
    """A copy of ``x``, (size,), with ``values[i]`` at ``places[i]``, both (n,); of several for one place the last
    stays.
    """
    if not (x.shape[0] and values.shape[0]):
        return xp.asarray(x, copy=True)
    order = xp.argsort(places, stable=True)
    ordered = xp.take(places, order, axis=0)
    rows = xp.arange_like(places, x.shape[0])
    # for each row the last of the values at places up to it: the one for this very place, if there is one
    last = xp.astype(xp.searchsorted(ordered, rows, side="right"), places.dtype) - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    found = xp.take(values, xp.take(order, last, axis=0), axis=0)
    return xp.where(xp.take(ordered, last, axis=0) == rows, found, x)
