"""Sums of values at indices that may repeat, and ``x[key] = v`` as a function.

The standard has no scatter, so the plain versions of the sums compare every target position with every index. This
works on every library and under tracing, but it is quadratic. Each backend has a linear override.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import Array, Namespace


def arange_like(xp: Namespace, like: Array, n: int) -> Array:
    """The integers below ``n``, in the dtype and on the device of ``like``."""
    return xp.arange(n, dtype=like.dtype, device=like.device)


def _bincount(xp: Namespace, size: int, indices: Array, values: Array) -> Array:
    """``out[i] = sum(values[indices == i])`` for flat ``indices`` and ``values`` of shape (n, k); out is (size, k)."""
    rows = xp.arange_like(indices, size)
    hits = xp.expand_dims(xp.expand_dims(rows, axis=1) == xp.expand_dims(indices, axis=0), axis=2)
    # not a product, because 0 * inf is nan
    picked = xp.where(hits, xp.expand_dims(values, axis=0), xp.zeros_like(values))
    return xp.sum(picked, axis=1, dtype=values.dtype)


def _wrapped(xp: Namespace, indices: Array, size: int) -> Array:
    """Indices that are not negative: negative ones count from the end."""
    return xp.where(indices < 0, indices + size, indices)


def index_add(xp: Namespace, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Zeros of ``shape`` with slice ``i`` of ``values`` along ``axis`` added at ``indices[i]``: take's gradient."""
    axis %= len(shape)
    rest = shape[:axis] + shape[axis + 1 :]
    flat = xp.reshape(xp.moveaxis(values, axis, 0), (values.shape[axis], prod(rest)))
    out = _bincount(xp, shape[axis], _wrapped(xp, indices, shape[axis]), flat)
    return xp.moveaxis(xp.reshape(out, (shape[axis], *rest)), 0, axis)


def scatter_add(xp: Namespace, values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Zeros of ``shape`` with ``values`` added at ``indices`` along ``axis``: the gradient of take_along_axis."""
    axis %= len(shape)
    # along all other axes, indices and values broadcast to each other and to shape
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    indices = xp.broadcast_to(_wrapped(xp, indices, shape[axis]), full)
    values = xp.broadcast_to(values, full)
    rows = xp.reshape(xp.moveaxis(indices, axis, 0), (full[axis], -1 if prod(full) else 0))
    flat = xp.reshape(xp.moveaxis(values, axis, 0), rows.shape)
    numbers = xp.arange_like(rows, shape[axis])
    hits = xp.expand_dims(xp.expand_dims(numbers, axis=1), axis=1) == xp.expand_dims(rows, axis=0)
    out = xp.sum(xp.where(hits, xp.expand_dims(flat, axis=0), xp.zeros_like(flat)), axis=1, dtype=values.dtype)
    return xp.moveaxis(xp.reshape(out, (shape[axis], *shape[:axis], *shape[axis + 1 :])), 0, axis)


def put_add(xp: Namespace, values: Array, shape: tuple[int, ...], key: Any) -> Array:
    """Zeros of ``shape`` with ``values`` added at ``key``: the gradient of ``x[key]``."""
    numbers = xp.reshape(xp.arange(prod(shape), device=values.device), shape)[key]
    flat = xp.reshape(xp.broadcast_to(values, numbers.shape), (prod(numbers.shape), 1))
    out = _bincount(xp, prod(shape), xp.reshape(numbers, (prod(numbers.shape),)), flat)
    return xp.reshape(out, shape)


def put(xp: Namespace, x: Array, value: Array, key: Any) -> Array:
    """A copy of ``x`` after ``copy[key] = value``."""
    out = xp.asarray(x, copy=True)
    out[key] = value
    return out


def overwrite(xp: Namespace, x: Array, values: Array, places: Array) -> Array:
    """A copy of ``x``, (size,), with ``values[i]`` at ``places[i]``, both (n,). If a place is named several times, its
    last value counts.
    """
    if not (x.shape[0] and values.shape[0]):
        return xp.asarray(x, copy=True)
    order = xp.argsort(places, stable=True)
    ordered = xp.take(places, order, axis=0)
    rows = xp.arange_like(places, x.shape[0])
    # For each element: the last value among those for this or an earlier place. It is for this place, if there is one.
    last = xp.astype(xp.searchsorted(ordered, rows, side="right"), places.dtype) - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    candidates = xp.take(values, xp.take(order, last, axis=0), axis=0)
    return xp.where(xp.take(ordered, last, axis=0) == rows, candidates, x)
