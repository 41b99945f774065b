"""Linear and bilinear layers, and the identity."""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING, Any

from .. import ops
from ..rustorch_names import LinearNames
from . import functional as F
from . import init
from .module import Module, Stateless
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["Bilinear", "Identity", "Linear"]


def _check_sizes(layer: str, **sizes: Any) -> None:
    """Raise ValueError unless all sizes are integers of at least 0."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 0:
            raise ValueError(f"{layer}: {name} is a number of features, not {size!r}")


class Linear(Module, LinearNames):
    """A linear layer: ``y = x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether to add a bias.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
        Initially uniform in [-k, k] with k = 1 / sqrt(in_features), as PyTorch's.
    bias : Parameter, (out_features,), or None
        Initially uniform in the same interval.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Linear(2, 4)
    >>> layer(rustorch.ones((3, 2))).shape
    (3, 4)
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__()
        _check_sizes(type(self).__name__, in_features=in_features, out_features=out_features)
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

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., in_features) -> (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """A bilinear layer: ``y[k] = sum over i, j of x1[i] * weight[k, i, j] * x2[j] + bias[k]``.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
    bias : bool
        Whether to add a bias.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (out_features, in1_features, in2_features)
        Initially uniform in [-k, k] with k = 1 / sqrt(in1_features), as PyTorch's.
    bias : Parameter, (out_features,), or None
        Initially uniform in the same interval.

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
        dtype: DTypeLike = None,
    ):
        super().__init__()
        _check_sizes(
            type(self).__name__, in1_features=in1_features, in2_features=in2_features, out_features=out_features
        )
        if not in1_features:
            raise ValueError(f"{type(self).__name__}: in1_features is positive, not 0")
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

    def forward(self, input1: ArrayLike, input2: ArrayLike) -> Variable:
        """input1: (..., in1_features); input2: (..., in2_features) -> (..., out_features)."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Stateless):
    """The identity: return the input. It can stand in the place of any layer.

    Parameters
    ----------
    *args, **kwargs
        Ignored, so that any layer can be replaced by it.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.ones(2)
    >>> rustorch.nn.Identity(3, bias=False)(x) is x
    True
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Variable) -> Variable:
        """input: any shape -> the input itself."""
        return input
