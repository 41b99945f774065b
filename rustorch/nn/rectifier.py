"""Rectifiers: activations that keep positive numbers and change negative ones."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

from .. import ops
from . import functional as F
from .activation import InPlace
from .init import constant_
from .module import Module
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["CELU", "ELU", "LeakyReLU", "PReLU", "RReLU", "ReLU", "SELU"]


class ReLU(InPlace):
    """``max(x, 0)``, elementwise; the gradient at 0 is 0.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReLU()(rustorch.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``max(x, 0)`` for each element x."""
        return F.relu(input, self.inplace)


class LeakyReLU(InPlace):
    """``x`` above 0, ``negative_slope * x`` below, elementwise.

    Parameters
    ----------
    negative_slope : float
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.LeakyReLU(0.5)(rustorch.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(
        self, negative_slope: float = 0.01, inplace: bool = False, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        self.negative_slope = negative_slope

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``max(x, 0) + negative_slope * min(x, 0)`` for each element x."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{self._suffix()}"


class PReLU(Module):
    """``x`` above 0, ``weight * x`` below, with slopes that are trained.

    Parameters
    ----------
    num_parameters : int
        1 for one slope, or the number of channels for a slope for each. The channels are dimension 1 of the input.
    init : float
        The initial slope.
    device, dtype : optional
        Of the weight.

    Attributes
    ----------
    weight : Parameter, (num_parameters,)

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PReLU(2, init=0.5)(rustorch.tensor([[-4.0, 4.0]])).tolist()
    [[-2.0, 4.0]]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: DTypeLike = None):
        super().__init__()
        if not isinstance(num_parameters, (int, Integral)) or isinstance(num_parameters, bool) or num_parameters < 1:
            raise ValueError(
                f"{type(self).__name__}: num_parameters is 1 or a number of channels, not {num_parameters!r}"
            )
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(ops.full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the initial values again."""
        constant_(self.weight, self.init)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...), or any shape with one weight -> the same shape."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(InPlace):
    """``x`` above 0, ``a * x`` below. In training, draw ``a`` for each element from [lower, upper); in evaluation, use
    the mean of both bounds.

    Parameters
    ----------
    lower, upper : float
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.RReLU(0.25, 0.75).eval()(rustorch.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        inplace: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        if not lower <= upper:
            raise ValueError(f"{type(self).__name__}: lower={lower} is above upper={upper}")
        self.lower, self.upper = lower, upper

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``max(x, 0) + a * min(x, 0)`` for each element x."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}{self._suffix()}"


class ELU(InPlace):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below, elementwise.

    Parameters
    ----------
    alpha : float
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ELU(2.0)(rustorch.tensor([-1000.0, 1000.0])).tolist()
    [-2.0, 1000.0]
    """

    def __init__(
        self, alpha: float = 1.0, inplace: bool = False, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        self.alpha = alpha

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``max(x, 0) + alpha * (exp(min(x, 0)) - 1)`` for each element x."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{self._suffix()}"


class CELU(InPlace):
    """``x`` above 0, ``alpha * (exp(x / alpha) - 1)`` below, elementwise.

    Parameters
    ----------
    alpha : float
        Not 0.
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CELU(2.0)(rustorch.tensor([-1000.0, 1000.0])).tolist()
    [-2.0, 1000.0]
    """

    def __init__(
        self, alpha: float = 1.0, inplace: bool = False, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        if not alpha:
            raise ValueError(f"{type(self).__name__}: alpha is a divisor and must not be 0")
        self.alpha = alpha

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape.

        Each element x becomes ``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``.
        """
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{self._suffix()}"


class SELU(InPlace):
    """`ELU` with an ``alpha`` and a scale that keep mean 0 and variance 1 from layer to layer.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.SELU()(rustorch.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``scale * elu(x)`` for each element x."""
        return F.selu(input, self.inplace)
