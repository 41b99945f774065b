"""Linear layers: the product with the weight, and the weight's gradient."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace


def linear(xp: Namespace, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``x @ weight.T + bias``; x is (..., in), weight (out, in), bias (out,) or None."""
    out = xp.matmul(x, xp.matrix_transpose(weight))
    return out if bias is None else out + bias


def linear_grad_weight(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of `linear` in its weight, summed over all leading axes; g is (..., out), x is (..., in)."""
    rows = xp.reshape(g, (-1 if g.shape[-1] else prod(g.shape[:-1]), g.shape[-1])) if g.ndim != 2 else g
    return xp.matmul(xp.matrix_transpose(rows), xp.reshape(x, (rows.shape[0], x.shape[-1])) if x.ndim != 2 else x)


def linear_grad_weight_bias(xp: Namespace, g: Array, x: Array) -> tuple[Array, Array]:
    """The gradients of `linear` in its weight and in its bias."""
    return xp.linear_grad_weight(g, x), xp.sum(g, axis=tuple(range(g.ndim - 1))) if g.ndim > 1 else g
