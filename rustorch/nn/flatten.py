"""Dimensions joined into one."""

from __future__ import annotations

from math import prod
from typing import Any

from .. import ops
from ..autograd.check import adopt
from ..ops.helpers import one_axis
from .module import Stateless

__all__ = ["Flatten"]


class Flatten(Stateless):
    """Dimensions ``start_dim`` to ``end_dim``, both included, joined into one.

    Parameters
    ----------
    start_dim : int
        By default 1: the batch stays.
    end_dim : int
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        input = adopt(input, "Flatten")
        shape = input.shape
        if not shape:
            return ops.reshape(input, (1,))
        first, last = one_axis(self.start_dim, len(shape)), one_axis(self.end_dim, len(shape))
        if last < first:
            raise ValueError(f"Flatten: start_dim={self.start_dim} comes after end_dim={self.end_dim} in shape {shape}")
        return ops.reshape(input, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
