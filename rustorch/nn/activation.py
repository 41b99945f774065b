"""Activations: elementwise, or along one dimension."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Stateless

__all__ = ["LogSoftmax", "ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Stateless):
    """``max(x, 0)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.
    """

    def __init__(self, inplace: bool = False, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.relu(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Sigmoid(Stateless):
    """``1 / (1 + exp(-x))``, elementwise."""

    def forward(self, input: Any) -> Any:
        return F.sigmoid(input)


class Tanh(Stateless):
    """Hyperbolic tangent, elementwise."""

    def forward(self, input: Any) -> Any:
        return F.tanh(input)


class Softmax(Stateless):
    """``exp(x) / sum(exp(x))`` along a dimension.

    Parameters
    ----------
    dim : int
        What sums to 1.
    """

    def __init__(self, dim: int | None = None, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of `Softmax`, computed without it.

    Parameters
    ----------
    dim : int
        What the exponentials sum to 1 along.
    """

    def forward(self, input: Any) -> Any:
        return F.log_softmax(input, self.dim)
