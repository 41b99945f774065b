"""Clipping of gradients by their norm, in plain code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace


def total_norm(xp: Namespace, order: float, *arrays: Array) -> Array:
    """The norm of all elements of one or more arrays: ``sum(abs(x) ** order) ** (1 / order)``, a 0-d array.

    The arrays have one dtype, and none of them is empty. ``order`` is above 0. Infinity gives the largest absolute
    value.
    """
    norms = [xp.vector_norm(x, tuple(range(x.ndim)), order, False) for x in arrays]
    return xp.vector_norm(xp.stack(norms), (0,), order, False)


def clip_by_norm(xp: Namespace, maximum: float, total: Array, *arrays: Array) -> tuple[Array, ...]:
    """New arrays: each one times ``maximum / (total + 1e-6)`` where that is less than 1.

    The arrays have one dtype. ``total`` is their norm, a 0-d array of that dtype, or of its real dtype.

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, algorithm 1.
    """
    factor = xp.clip(maximum / (total + 1e-6), max=1.0)
    return tuple([x * factor for x in arrays])
