"""Activations made of straight pieces: thresholds, limits and shrinkage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import functional as F
from .activation import InPlace
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "ReLU6", "Softshrink", "Threshold"]


class Threshold(InPlace):
    """``x`` above ``threshold``, ``value`` elsewhere, elementwise.

    Parameters
    ----------
    threshold, value : float
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Threshold(1.0, 9.0)(rustorch.tensor([1.0, 2.0])).tolist()
    [9.0, 2.0]
    """

    def __init__(
        self,
        threshold: float,
        value: float,
        inplace: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        self.threshold = threshold
        self.value = value

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``value`` for elements that are at most ``threshold``."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{self._suffix()}"


class Hardtanh(InPlace):
    """``min(max(x, min_val), max_val)``, elementwise; the gradient is 0 at both corners.

    Parameters
    ----------
    min_val, max_val : float
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.
    min_value, max_value : float, optional
        PyTorch's older names of ``min_val`` and ``max_val``.

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
        dtype: DTypeLike = None,
    ):
        super().__init__(inplace, device=device, dtype=dtype)
        min_val = min_val if min_value is None else min_value
        max_val = max_val if max_value is None else max_value
        if min_val >= max_val:
            raise ValueError(f"{type(self).__name__}: min_val={min_val} is not below max_val={max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``min(max(x, min_val), max_val)`` for each element x."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{self._suffix()}"


class ReLU6(InPlace):
    """``min(max(x, 0), 6)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.ReLU6()(rustorch.tensor([-1.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``min(max(x, 0), 6)`` for each element x."""
        return F.relu6(input, self.inplace)


class Hardsigmoid(InPlace):
    """``min(max(x / 6 + 1 / 2, 0), 1)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardsigmoid()(rustorch.tensor([-9.0, 0.0, 9.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``min(max(x / 6 + 1 / 2, 0), 1)`` for each element x."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(InPlace):
    """``x * Hardsigmoid()(x)``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardswish()(rustorch.tensor([-9.0, 0.0, 9.0])).tolist()
    [-0.0, 0.0, 9.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``x * hardsigmoid(x)`` for each element x."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(Stateless):
    """``x`` where ``abs(x) > lambd``, 0 elsewhere.

    Parameters
    ----------
    lambd : float

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Hardshrink()(rustorch.tensor([-0.25, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, lambd: float = 0.5, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.lambd = lambd

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with 0 for elements in [-lambd, lambd]."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Stateless):
    """``x - lambd`` above ``lambd``, ``x + lambd`` below ``-lambd``, 0 between, elementwise.

    Parameters
    ----------
    lambd : float

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Softshrink()(rustorch.tensor([-0.25, 2.0])).tolist()
    [-0.0, 1.5]
    """

    def __init__(self, lambd: float = 0.5, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        if not lambd >= 0:
            raise ValueError(f"{type(self).__name__}: lambd must be at least 0, not {lambd}")
        self.lambd = lambd

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, each element moved towards 0 by at most ``lambd``."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)
