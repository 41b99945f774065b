"""A step of Adafactor on NumPy, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy import add, divide, maximum, multiply, sqrt, subtract
from numpy.linalg import norm

from ..kernels.adafactor import lerp
from .optim import writable

if TYPE_CHECKING:
    from ..base import Array


def adafactor(
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
    """As the plain version, in place: with one scratch buffer of the parameter's size."""
    p, root_size = writable(p), p.size**0.5
    step = rho * max(eps2, float(norm(p)) / root_size)  # in this order nan becomes eps2, as in PyTorch
    if weight_decay:
        multiply(p, 1 - lr * weight_decay, p)
    scratch = multiply(g, g)[...]
    if rows is not None and columns is not None:
        rows[...] = lerp(rows, scratch.mean(-1, keepdims=True), new_weight)
        columns[...] = lerp(columns, scratch.mean(-2, keepdims=True), new_weight)
        multiply(rows / maximum(rows.mean(-2, keepdims=True), eps1), columns, scratch)
    elif variance is not None:
        if new_weight < 0.5:
            subtract(scratch, variance, scratch)
            add(variance, multiply(scratch, new_weight, scratch), variance)
        else:
            subtract(scratch, variance, variance)
            subtract(scratch, multiply(variance, 1 - new_weight, variance), variance)
        scratch[...] = variance
    maximum(scratch, eps1 * eps1, out=scratch)
    divide(g, sqrt(scratch, scratch), scratch)
    step /= max(1.0, float(norm(scratch)) / (root_size * d))
    multiply(scratch, -step if maximize else step, scratch)
    return subtract(p, scratch, p), rows, columns, variance


OVERRIDES: dict[str, Callable[..., Any]] = {"adafactor": adafactor}
