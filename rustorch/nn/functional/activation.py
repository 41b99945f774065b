"""Smooth activations, and activations along one dimension: softmax and GLU."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.primitive import Primitive
from ...ops import network
from ...ops.arguments import one_axis
from ...ops.complex_numbers import is_complex
from .checks import floating, in_place, real

if TYPE_CHECKING:
    from ...typing import ArrayLike, DTypeLike
    from ...variable import Variable


__all__ = [
    "gelu", "glu", "log_softmax", "logsigmoid", "mish", "sigmoid", "silu", "softmax", "softmin", "softplus", "softsign",
    "tanh", "tanhshrink",
]  # fmt: skip


def sigmoid(input: ArrayLike) -> Variable:
    """``1 / (1 + exp(-input))``, elementwise, without overflow; for complex numbers, too."""
    return network.sigmoid.call(floating(input, "sigmoid"))


def tanh(input: ArrayLike) -> Variable:
    """Hyperbolic tangent, elementwise."""
    return ops.tanh(input)


def logsigmoid(input: ArrayLike) -> Variable:
    """The logarithm of `sigmoid`, ``-log(1 + exp(-input))``, elementwise; exact also where the sigmoid rounds to 0.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.logsigmoid(rustorch.tensor([-1000.0])).tolist()
    [-1000.0]
    """
    return network.log_sigmoid.call(real(input, "logsigmoid"))


def softplus(input: ArrayLike, beta: float = 1, threshold: float = 20) -> Variable:
    """``log(1 + exp(beta * input)) / beta``, elementwise: a smooth `relu`.

    Parameters
    ----------
    input : Variable or array
    beta : float
        The larger it is, the nearer the result is to `relu`.
    threshold : float
        Where ``beta * input`` is larger than this, the result is the input.

    Raises
    ------
    ValueError
        If ``beta`` is 0.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.softplus(rustorch.tensor([-1000.0, 30.0])).tolist()
    [0.0, 30.0]
    """
    if not beta:
        raise ValueError("softplus: beta is a divisor and must not be 0")
    return network.softplus.call(real(input, "softplus"), float(beta), float(threshold))


def softsign(input: ArrayLike) -> Variable:
    """``input / (1 + abs(input))``, elementwise; for complex numbers, too."""
    input = floating(input, "softsign")
    return input / (1 + ops.abs(input)) if is_complex(input._native) else network.softsign.call(input)


def tanhshrink(input: ArrayLike) -> Variable:
    """``input - tanh(input)``, elementwise; for complex numbers, too."""
    return network.tanhshrink.call(floating(input, "tanhshrink"))


def silu(input: ArrayLike, inplace: bool = False) -> Variable:
    """``input * sigmoid(input)``, elementwise; also known as swish.

    Source: Hendrycks & Gimpel, "Gaussian error linear units", 2016.
    """
    input = real(input, "silu")
    return in_place(input, lambda: network.silu.call(input), "silu") if inplace else network.silu.call(input)


def mish(input: ArrayLike, inplace: bool = False) -> Variable:
    """``input * tanh(softplus(input))``, elementwise.

    Source: Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    input = real(input, "mish")
    return in_place(input, lambda: network.mish.call(input), "mish") if inplace else network.mish.call(input)


def gelu(input: ArrayLike, approximate: str = "none") -> Variable:
    """``input * P(X <= input)`` for a standard normal X, elementwise: the Gaussian error linear unit.

    Parameters
    ----------
    input : Variable or array
    approximate : {"none", "tanh"}
        "none" computes ``0.5 * x * (1 + erf(x / sqrt(2)))``, "tanh"
        ``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``.

    Raises
    ------
    ValueError
        If ``approximate`` is neither.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.gelu(rustorch.tensor([-100.0, 0.0, 10.0])).tolist()
    [-0.0, 0.0, 10.0]

    Source: Hendrycks & Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return (network.gelu if approximate == "none" else network.gelu_tanh).call(real(input, "gelu"))


def glu(input: ArrayLike, dim: int = -1) -> Variable:
    """``a * sigmoid(b)`` for the halves a and b of the input along a dimension: the gated linear unit.

    Parameters
    ----------
    input : Variable or array
        Its size along ``dim`` must be even.
    dim : int
        The dimension to halve.

    Raises
    ------
    ValueError
        If the size is odd, or the input has no dimensions.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.glu(rustorch.tensor([2.0, 4.0, 0.0, 0.0])).tolist()
    [1.0, 2.0]

    Source: Dauphin et al., "Language modeling with gated convolutional networks", 2016.
    """
    input = real(input, "glu")
    if not input.ndim:
        raise ValueError("glu: the input needs a dimension to halve; its shape is ()")
    dim = one_axis(dim, input.ndim, "glu")
    size = input.shape[dim]
    if size % 2:
        raise ValueError(f"glu: dimension {dim} of the input cannot be halved: its size is odd in shape {input.shape}")
    return network.glu.call(input, dim)


def _softmax_dim(input: Variable, dim: int | None, name: str, level: int) -> int:
    """The dimension, not negative. Without one, choose it as PyTorch does and warn."""
    if dim is None:
        warnings.warn(
            f"{name} without dim chooses one by the number of dimensions; name it, as in dim=-1",
            UserWarning,
            stacklevel=level,
        )
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return one_axis(dim, input.ndim or 1, name)  # an input without dimensions counts as a row of one number


def _along(primitive: Primitive, input: Variable, dim: int) -> Variable:
    """The primitive along a dimension; an input without dimensions counts as a row of one number."""
    return primitive(input, dim) if input.ndim else ops.reshape(primitive(ops.reshape(input, (1,)), 0), ())


def softmax(input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike = None) -> Variable:
    """``exp(input) / sum(exp(input))`` along a dimension.

    Parameters
    ----------
    input : Variable or array
        Real numbers. For an input without dimensions, ``dim`` may be 0.
    dim : int
        The results along this dimension sum to 1. Without it, a dimension is chosen, with a warning.
    dtype : dtype, optional
        Convert the input to this dtype first.
    """
    input = real(input if dtype is None else ops.astype(input, dtype, copy=False), "softmax")
    return _along(network.softmax, input, _softmax_dim(input, dim, "softmax", _stacklevel))


def log_softmax(input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike = None) -> Variable:
    """The logarithm of `softmax`, exact also where the softmax rounds to 0; parameters as for `softmax`."""
    input = real(input if dtype is None else ops.astype(input, dtype, copy=False), "log_softmax")
    return _along(network.log_softmax, input, _softmax_dim(input, dim, "log_softmax", _stacklevel))


def softmin(input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike = None) -> Variable:
    """`softmax` of ``-input``; parameters as for `softmax`."""
    input = real(input if dtype is None else ops.astype(input, dtype, copy=False), "softmin")
    return _along(network.softmax, -input, _softmax_dim(input, dim, "softmin", _stacklevel))
