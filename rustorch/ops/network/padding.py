"""The primitive of padding with a constant."""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = ["pad_constant"]

pad_constant = Primitive(
    "pad_constant",
    lambda xp, x, /, pairs, value: xp.pad_constant(x, pairs, value),
    x=lambda xp, g, pairs: xp.pad_constant(g, tuple([(-before, -after) for before, after in pairs]), 0),
)
