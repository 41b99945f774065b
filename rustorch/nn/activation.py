"""Smooth activations, and activations along one dimension such as softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.check import adopt
from . import functional as F
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = [
    "GELU", "GLU", "LogSigmoid", "LogSoftmax", "Mish", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus",
    "Softsign", "Tanh", "Tanhshrink",
]  # fmt: skip


class InPlace(Stateless):
    """An activation that can write its output into its input."""

    def __init__(self, inplace: bool = False, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.inplace = inplace

    def _suffix(self) -> str:
        """The end of the repr, after other options."""
        return ", inplace=True" if self.inplace else ""

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Sigmoid(Stateless):
    """``1 / (1 + exp(-x))``, elementwise."""

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``1 / (1 + exp(-x))`` for each element x."""
        return F.sigmoid(input)


class Tanh(Stateless):
    """Hyperbolic tangent, elementwise."""

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``tanh(x)`` for each element x."""
        return F.tanh(input)


class LogSigmoid(Stateless):
    """``log(1 / (1 + exp(-x)))``, elementwise, without overflow.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.LogSigmoid()(rustorch.tensor([-1000.0])).tolist()
    [-1000.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``log(sigmoid(x))`` for each element x."""
        return F.logsigmoid(input)


class SiLU(InPlace):
    """``x * sigmoid(x)``, elementwise; also known as swish.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.SiLU()(rustorch.tensor([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``x * sigmoid(x)`` for each element x."""
        return F.silu(input, self.inplace)


class Mish(InPlace):
    """``x * tanh(softplus(x))``, elementwise.

    Parameters
    ----------
    inplace : bool
        Whether to write the output into the input; see `rustorch.nn.functional.relu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Mish()(rustorch.tensor([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``x * tanh(softplus(x))`` for each element x."""
        return F.mish(input, self.inplace)


class GELU(Stateless):
    """``x * P(X <= x)`` for a standard normal X, elementwise: the Gaussian error linear unit.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "none" for the exact formula, "tanh" for an approximation; see `rustorch.nn.functional.gelu`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.GELU()(rustorch.tensor([-100.0, 0.0, 10.0])).tolist()
    [-0.0, 0.0, 10.0]
    """

    def __init__(self, approximate: str = "none", *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        if approximate not in ("none", "tanh"):
            raise ValueError(f"{type(self).__name__}: approximate is 'none' or 'tanh', not {approximate!r}")
        self.approximate = approximate

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``x * P(X <= x)`` for each element x."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class GLU(Stateless):
    """``a * sigmoid(b)`` for the two halves a and b of the input: the gated linear unit.

    Parameters
    ----------
    dim : int
        The dimension to halve. Its size is even.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.GLU()(rustorch.tensor([2.0, 4.0, 0.0, 0.0])).tolist()
    [1.0, 2.0]
    """

    def __init__(self, dim: int = -1, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.dim = dim

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., 2 * n, ...) -> (..., n, ...), halved along ``dim``."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softplus(Stateless):
    """``log(1 + exp(beta * x)) / beta``, elementwise: a smooth `ReLU`.

    Parameters
    ----------
    beta : float
        A larger value gives a curve closer to `ReLU`.
    threshold : float
        The output is x where ``beta * x`` is above this number.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Softplus()(rustorch.tensor([-1000.0, 30.0])).tolist()
    [0.0, 30.0]
    """

    def __init__(
        self, beta: float = 1.0, threshold: float = 20.0, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(device=device, dtype=dtype)
        if not beta:
            raise ValueError(f"{type(self).__name__}: beta is a divisor and must not be 0")
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``log(1 + exp(beta * x)) / beta`` for each element x."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Stateless):
    """``x / (1 + abs(x))``, elementwise.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Softsign()(rustorch.tensor([-1.0, 3.0])).tolist()
    [-0.5, 0.75]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``x / (1 + abs(x))`` for each element x."""
        return F.softsign(input)


class Tanhshrink(Stateless):
    """``x - tanh(x)``, elementwise.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Tanhshrink()(rustorch.tensor([0.0, 100.0])).tolist()
    [0.0, 99.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with ``x - tanh(x)`` for each element x."""
        return F.tanhshrink(input)


class Softmax(Stateless):
    """``exp(x) / sum(exp(x))`` along a dimension.

    Parameters
    ----------
    dim : int
        The dimension along which the outputs sum to 1.
    """

    def __init__(self, dim: int | None = None, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.dim = dim

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with sums of 1 along ``dim``."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of `Softmax`, computed without overflow.

    Parameters
    ----------
    dim : int
        The dimension along which the exponentials of the outputs sum to 1.
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with the logarithms of `Softmax`."""
        return F.log_softmax(input, self.dim)


class Softmin(Softmax):
    """`Softmax` of ``-x``.

    Parameters
    ----------
    dim : int
        The dimension along which the outputs sum to 1.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Softmin(dim=0)(rustorch.tensor([0.0, 1000.0])).tolist()
    [1.0, 0.0]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape -> the same shape, with sums of 1 along ``dim``."""
        return F.softmin(input, self.dim)


class Softmax2d(Stateless):
    """`Softmax` over the channels of an image, (n, channels, height, width) or (channels, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.Softmax2d()(rustorch.zeros((1, 4, 1, 2))).tolist()
    [[[[0.25, 0.25]], [[0.25, 0.25]], [[0.25, 0.25]], [[0.25, 0.25]]]]
    """

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, H, W) or (C, H, W) -> the same shape, with sums of 1 over the channels."""
        x = adopt(input, "Softmax2d")
        if x.ndim not in (3, 4):
            raise ValueError(
                f"{type(self).__name__}: the input is (n, channels, height, width) or (channels, height, width), "
                f"not {x.shape}"
            )
        return F.softmax(x, -3)
