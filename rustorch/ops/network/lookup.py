"""Rows of a table by their numbers: what embeddings are made of."""

from __future__ import annotations

from typing import Any

from ...autograd.primitive import Primitive

__all__ = ["embedding"]


def _of_table(xp: Any, g: Any, rows: Any, weight_shape: tuple[int, ...], padding: Any, by_frequency: bool) -> Any:
    """Gradients of rows, added up where they came from: none for the padding, and by frequency the mean instead of the
    sum.
    """
    if padding is not None:
        g = xp.where(xp.expand_dims(rows == padding, axis=1), xp.zeros_like(g), g)
    if by_frequency and rows.shape[0]:
        ones = xp.ones_like(g[:, :1]) if g.shape[1] else g
        g = g / xp.take(xp.index_add(ones, rows, (weight_shape[0], ones.shape[1]), 0), rows, axis=0)
    return xp.index_add(g, rows, weight_shape, 0)


embedding = Primitive(
    "embedding",
    lambda xp, weight, rows, /, padding, by_frequency: xp.take(weight, rows, axis=0),
    weight=_of_table,
)
