"""Activations made of pieces: rectifiers and their kin."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from .. import ops
from . import functional as F
from .activation import InPlace
from .init import constant_
from .module import Module, Stateless
from .parameter import Parameter

__all__ = [
    "CELU", "ELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "PReLU", "RReLU", "ReLU", "ReLU6",
    "SELU", "Softshrink", "Threshold",
]  # fmt: skip


class ReLU(InPlace):
    """``max(x, 0)``, elementwise; the gradient at 0 is 0.

    Parameters
    ----------
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReLU()(rustorch.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: Any) -> Any:
        """``max(x, 0)`` of each element."""
        return F.relu(input, self.inplace)


class LeakyReLU(InPlace):
    """``x`` above 0, ``negative_slope * x`` below, elementwise.

    Parameters
    ----------
    negative_slope : float
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.LeakyReLU(0.5)(rustorch.tensor([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(
        self, negative_slope: float = 0.01, inplace: bool = False, *, device: str | None = None, dtype: Any = None
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """``x``, below 0 ``negative_slope * x``."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{self._suffix()}"


class PReLU(Module):
    """``x`` above 0, ``weight * x`` below, with slopes that learn.

    Parameters
    ----------
    num_parameters : 1, or the number of channels: the size of the input's dimension 1
    init : float
        The first slope.
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

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: Any = None):
        super().__init__()
        if not isinstance(num_parameters, (int, Integral)) or isinstance(num_parameters, bool) or num_parameters < 1:
            raise ValueError(f"PReLU: num_parameters is 1 or a number of channels, not {num_parameters!r}")
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(ops.full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the initial values again."""
        constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        """``x``, below 0 ``weight * x``; the input is (n, channels, ...), or any with one weight."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(InPlace):
    """``x`` above 0, ``a * x`` below: in training with an ``a`` for each element, drawn from [lower, upper), else with
    their mean.

    Parameters
    ----------
    lower, upper : float
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

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
        dtype: Any = None,
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        if not lower <= upper:
            raise ValueError(f"RReLU: lower={lower} is above upper={upper}")
        self.lower, self.upper = lower, upper

    def forward(self, input: Any) -> Any:
        """``x``, below 0 ``a * x``; in training, a is drawn for each element."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}{self._suffix()}"


class ELU(InPlace):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below, elementwise.

    Parameters
    ----------
    alpha : float
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ELU(2.0)(rustorch.tensor([-1000.0, 1000.0])).tolist()
    [-2.0, 1000.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False, *, device: str | None = None, dtype: Any = None):
        super().__init__(inplace, device=device, dtype=dtype)
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """``x``, below 0 ``alpha * (exp(x) - 1)``."""
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
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CELU(2.0)(rustorch.tensor([-1000.0, 1000.0])).tolist()
    [-2.0, 1000.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False, *, device: str | None = None, dtype: Any = None):
        super().__init__(inplace, device=device, dtype=dtype)
        if not alpha:
            raise ValueError("CELU: alpha is what is divided by, and not 0")
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """``x``, below 0 ``alpha * (exp(x / alpha) - 1)``."""
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{self._suffix()}"


class SELU(InPlace):
    """`ELU` with the ``alpha`` and the scale that keep mean 0 and variance 1 through layers.

    Parameters
    ----------
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.SELU()(rustorch.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, input: Any) -> Any:
        """``scale * x``, below 0 ``scale * alpha * (exp(x) - 1)``."""
        return F.selu(input, self.inplace)


class Threshold(InPlace):
    """``x`` above ``threshold``, ``value`` elsewhere, elementwise.

    Parameters
    ----------
    threshold, value : float
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Threshold(1.0, 9.0)(rustorch.tensor([1.0, 2.0])).tolist()
    [9.0, 2.0]
    """

    def __init__(
        self, threshold: float, value: float, inplace: bool = False, *, device: str | None = None, dtype: Any = None
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Any) -> Any:
        """``x`` where it is above the threshold, elsewhere the value."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{self._suffix()}"


class Hardtanh(InPlace):
    """``min(max(x, min_val), max_val)``, elementwise; the gradient is 0 at both corners.

    Parameters
    ----------
    min_val, max_val : float
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.
    min_value, max_value : float, optional
        PyTorch's old words for ``min_val`` and ``max_val``, for programs that still have them.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardtanh()(rustorch.tensor([-3.0, 0.5])).tolist()
    [-1.0, 0.5]
    """

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        min_val, max_val = (new if old is None else old for new, old in ((min_val, min_value), (max_val, max_value)))
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: min_val={min_val} is not below max_val={max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Any) -> Any:
        """``x``, at least min_val and at most max_val."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{self._suffix()}"


class ReLU6(InPlace):
    """``min(max(x, 0), 6)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReLU6()(rustorch.tensor([-1.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def forward(self, input: Any) -> Any:
        """``min(max(x, 0), 6)`` of each element."""
        return F.relu6(input, self.inplace)


class Hardsigmoid(InPlace):
    """``min(max(x / 6 + 1 / 2, 0), 1)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardsigmoid()(rustorch.tensor([-9.0, 0.0, 9.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def forward(self, input: Any) -> Any:
        """``min(max(x / 6 + 1 / 2, 0), 1)`` of each element."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(InPlace):
    """``x * Hardsigmoid()(x)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether the input itself becomes the output; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardswish()(rustorch.tensor([-9.0, 0.0, 9.0])).tolist()
    [-0.0, 0.0, 9.0]
    """

    def forward(self, input: Any) -> Any:
        """``x * hardsigmoid(x)`` of each element."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(Stateless):
    """``x`` where it is farther than ``lambd`` from 0, else 0, elementwise.

    Parameters
    ----------
    lambd : float

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardshrink()(rustorch.tensor([-0.25, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, lambd: float = 0.5, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """``x``, but 0 in [-lambd, lambd]."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Stateless):
    """``x`` brought nearer to 0 by ``lambd``, 0 where it was nearer, elementwise.

    Parameters
    ----------
    lambd : float

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Softshrink()(rustorch.tensor([-0.25, 2.0])).tolist()
    [-0.0, 1.5]
    """

    def __init__(self, lambd: float = 0.5, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        if not lambd >= 0:
            raise ValueError(f"Softshrink: lambd is not negative, as {lambd} is")
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """``x`` nearer to 0 by lambd, and 0 in [-lambd, lambd]."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)
