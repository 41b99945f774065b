"""One step of Adafactor for one parameter, in plain code; see ``optim.py`` for what a step takes and returns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace


def _norm(xp: Namespace, x: Array) -> Array:
    """The Euclidean norm of all elements."""
    return xp.vector_norm(x, tuple(range(x.ndim)), 2, False)


def _at_least(xp: Namespace, x: Array, minimum: float) -> Array:
    """``x``, or ``minimum`` where ``x`` is not above it. A nan becomes ``minimum``, as with Python's ``max`` in
    PyTorch.
    """
    return xp.where(x > minimum, x, xp.full_like(x, minimum))


def lerp(start: Array, end: Array, weight: float) -> Array:
    """``start + weight * (end - start)`` as PyTorch's ``lerp`` computes it, also for infinities."""
    return start + weight * (end - start) if weight < 0.5 else end - (end - start) * (1 - weight)


def adafactor(
    xp: Namespace,
    p: Array,
    g: Array,
    rows: Array | None,
    columns: Array | None,
    variance: Array | None,
    *,
    lr: float,
    new_weight: float,
    eps1: float,
    eps2: float,
    d: float,
    rho: float,
    weight_decay: float,
    maximize: bool,
) -> tuple[Array, Array | None, Array | None, Array | None]:
    """Take one step of Adafactor.

    For a matrix, or a stack of them, of shape (..., m, n), the running variance is the product of the means ``rows`` of
    shape (..., m, 1) and ``columns`` of shape (..., 1, n), and ``variance`` is None. For a vector the state is
    ``variance``, and the other two are None. ``new_weight`` is the weight of the new squares, ``rho`` the longest
    relative step, and ``rms`` the root mean square of all elements::

        step = rho * max(eps2, rms(p))
        p = (1 - lr * weight_decay) * p
        rows = (1 - new_weight) * rows + new_weight * mean(g**2, axis=-1)
        columns = (1 - new_weight) * columns + new_weight * mean(g**2, axis=-2)
        variance = rows * columns / max(mean(rows, axis=-2), eps1)
        u = g / sqrt(max(variance, eps1**2))
        p = p - step * u / max(1, rms(u) / d)                 # p + ... to maximize

    A vector's ``variance`` is ``(1 - new_weight) * variance + new_weight * g**2``.

    Source: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018, algorithms 4 and
    5; in PyTorch's form.
    """
    root_size = math.prod(p.shape) ** 0.5
    step = rho * _at_least(xp, _norm(xp, p) / root_size, eps2)
    if weight_decay:
        p = (1 - lr * weight_decay) * p
    square = g * g
    if variance is None:
        rows = lerp(rows, xp.mean(square, axis=-1, keepdims=True), new_weight)
        columns = lerp(columns, xp.mean(square, axis=-2, keepdims=True), new_weight)
        estimate = rows * columns / xp.maximum(xp.mean(rows, axis=-2, keepdims=True), eps1)
    else:
        estimate = variance = lerp(variance, square, new_weight)
    u = g / xp.sqrt(xp.maximum(estimate, eps1 * eps1))
    step = step / _at_least(xp, _norm(xp, u) / (root_size * d), 1.0)
    return (p + step * u if maximize else p - step * u), rows, columns, variance
