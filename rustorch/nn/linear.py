"""Affine maps."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Linear"]


class Linear(Module):
    """``y = x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether there is one.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
        Initially uniform in [-k, k] with k = 1 / sqrt(in_features), as PyTorch's.
    bias : Parameter, (out_features,), or None
        Initially likewise.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Linear(2, 4)
    >>> layer(rustorch.ones((3, 2))).shape
    (3, 4)
    """

    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None):
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise ValueError(f"Linear: {name} is a number of features, not {size!r}")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(ops.empty((out_features, in_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(ops.empty((out_features,), device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any) -> Any:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
