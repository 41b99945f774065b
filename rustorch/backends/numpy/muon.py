"""A step of Muon on NumPy, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, divide, multiply, subtract
from numpy.linalg import norm

from .optim import writable

if TYPE_CHECKING:
    from ..base import Array


def muon(
    p: Array,
    g: Array,
    buffer: Array,
    *,
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    iterations: int,
    eps: float,
) -> tuple[Array, Array]:
    """As the plain version, in place: with two arrays of the parameter's size, because a product cannot overwrite its
    factor.
    """
    p = writable(p)
    x = multiply(g, 1 - momentum)
    add(multiply(buffer, momentum, buffer), x, buffer)
    if nesterov:
        add(x, multiply(buffer, momentum), x)
    else:
        x[...] = buffer
    divide(x, max(float(norm(x)), eps), x)
    other, (a, b, c) = numpy.empty_like(x), coefficients
    wide, product = (x.T, other.T) if x.shape[0] > x.shape[1] else (x, other)
    for _ in range(iterations):
        gram = wide @ wide.T
        update = gram @ gram
        add(multiply(update, c, update), multiply(gram, b, gram), update)
        numpy.matmul(update, wide, out=product)
        add(multiply(wide, a, wide), product, wide)
    return subtract(multiply(p, decay, p), multiply(x, lr, x), p), buffer


OVERRIDES: dict[str, Callable[..., Any]] = {"muon": muon}
