"""The primitive of embeddings: rows of a table, and their gradients added up in the table's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...autograd.primitive import Primitive

if TYPE_CHECKING:
    from ...typing import Array, Namespace, Shape

__all__ = ["embedding"]


def _table_gradient(
    xp: Namespace, g: Array, rows: Array, weight_shape: Shape, padding: int | None, by_frequency: bool
) -> Array:
    """Add up the gradients of equal rows. The padding row gets 0.

    With ``by_frequency`` a row gets the mean of its gradients instead of their sum.
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
    weight=_table_gradient,
)
