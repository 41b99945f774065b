"""Affine and bilinear maps, and the one that changes nothing."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

from .. import ops
from ..rustorch_names import LinearNames
from . import functional as F
from . import init
from .module import Module, Stateless
from .parameter import Parameter

__all__ = ["Bilinear", "Identity", "Linear"]


def _check_sizes(layer: str, **sizes: Any) -> None:
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 0:
            raise ValueError(f"{layer}: {name} is a number of features, not {size!r}")


class Linear(Module, LinearNames):
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

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: Any = None
    ):
        super().__init__()
        _check_sizes("Linear", in_features=in_features, out_features=out_features)
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
        """``input @ weight.T + bias``: (..., in_features) becomes (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """``y[k] = sum over i, j of x1[i] * weight[k, i, j] * x2[j] + bias[k]``.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
    bias : bool
        Whether there is one.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (out_features, in1_features, in2_features)
        Initially uniform in [-k, k] with k = 1 / sqrt(in1_features), as PyTorch's.
    bias : Parameter, (out_features,), or None
        Initially likewise.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Bilinear(2, 3, 4)
    >>> layer(rustorch.ones((5, 2)), rustorch.ones((5, 3))).shape
    (5, 4)
    """

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__()
        _check_sizes("Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        if not in1_features:
            raise ValueError("Bilinear: in1_features is positive, not 0")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(ops.empty((out_features, in1_features, in2_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(ops.empty((out_features,), device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Any:
        """The output (..., out_features) of inputs (..., in1_features) and (..., in2_features)."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Stateless):
    """Its input; a place that another layer may take.

    Parameters
    ----------
    *args, **kwargs
        Ignored, so that it can stand for any layer.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.ones(2)
    >>> rustorch.nn.Identity(3, bias=False)(x) is x
    True
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input itself."""
        return input
