"""The primitive of dropout: a product with a random mask."""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = ["apply_mask"]

apply_mask = Primitive(
    "apply_mask", lambda xp, x, mask, /: xp.apply_mask(x, mask), x=lambda xp, g, mask: xp.apply_mask(g, mask)
)
