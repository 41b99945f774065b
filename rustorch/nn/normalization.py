"""Normalization over the last dimensions, over groups of channels, or over neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.modes import no_grad
from . import functional as F
from .module import Module, Stateless
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


def check_positive(name: str, **sizes: Any) -> None:
    """Raise ValueError unless all sizes are positive integers."""
    for what, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name}: {what} is a positive number, not {size!r}")


class Affine(Module):
    """A layer with a weight of ones and a bias of zeros. Each of them may be None."""

    weight: Parameter | None
    bias: Parameter | None

    def _register(self, shape: tuple[int, ...], weight: bool, bias: bool, device: str | None, dtype: DTypeLike) -> None:
        ones = Parameter(ops.ones(shape, device=device, dtype=dtype)) if weight else None
        zeros = Parameter(ops.zeros(shape, device=device, dtype=dtype)) if bias else None
        self.register_parameter("weight", ones)
        self.register_parameter("bias", zeros)

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        with no_grad():
            for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
                if parameter is not None:
                    parameter[...] = value


def _sizes(name: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not sizes:
        raise ValueError(f"{name}: normalized_shape has at least one size, not {normalized_shape!r}")
    check_positive(name, **{f"normalized_shape[{i}]": size for i, size in enumerate(sizes)})
    return sizes


def _check_last(layer: LayerNorm | RMSNorm, input: Any) -> None:
    """Raise ValueError unless the input ends with the normalized sizes."""
    shape, sizes = tuple(input.shape), layer.normalized_shape
    if shape[-len(sizes) :] != sizes:
        raise ValueError(f"{type(layer).__name__}: the input has shape {shape}; its last sizes are {sizes}")


class LayerNorm(Affine):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions. Source: Ba, Kiros & Hinton, 2016.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The sizes of the last dimensions. The mean and the variance are computed over them.
    eps : float
    elementwise_affine : bool
        Whether to multiply by a weight and add a bias.
    bias : bool
        Whether to add a bias beside the weight.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight, bias : Parameter, normalized_shape, or None
        Initially ones and zeros.

    Raises
    ------
    ValueError
        If a size is not positive. In a call, if the input does not end with these sizes.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.LayerNorm(2, eps=0.0)
    >>> layer(rustorch.tensor([[1.0, 3.0], [5.0, 9.0]])).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__()
        self.normalized_shape = _sizes(type(self).__name__, normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._register(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., normalized_shape) -> the same shape, normalized over these last dimensions."""
        _check_last(self, input)
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class RMSNorm(Affine):
    """``x / sqrt(mean(x * x) + eps) * weight`` over the last dimensions. Source: Zhang & Sennrich, 2019, equation 4.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The sizes of the last dimensions.
    eps : float, optional
        Default: the distance from 1 to the next number of the input's dtype.
    elementwise_affine : bool
        Whether to multiply by a weight.
    device, dtype : optional
        Of the weight. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, normalized_shape, or None
        Initially ones.

    Raises
    ------
    ValueError
        If a size is not positive. In a call, if the input does not end with these sizes.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.RMSNorm(2, elementwise_affine=False)(rustorch.tensor([1.0, 7.0]))
    Variable([0.2, 1.4])
    """

    bias = None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__()
        self.normalized_shape = _sizes(type(self).__name__, normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(ops.ones(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (..., normalized_shape) -> the same shape, divided by its root mean square over these dimensions."""
        _check_last(self, input)
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Affine):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, over groups of channels of every sample.

    Source: Wu & He, 2018.

    Parameters
    ----------
    num_groups : int
    num_channels : int
        A multiple of ``num_groups``.
    eps : float
    affine : bool
        Whether to multiply by a weight and add a bias, each with one number for a channel.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.
    bias : bool
        Whether to add a bias beside the weight.

    Raises
    ------
    ValueError
        If the groups do not divide the channels. In a call, if the input is not (n, num_channels, ...).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.GroupNorm(2, 4)(rustorch.ones((2, 4, 5))).shape
    (2, 4, 5)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        check_positive(type(self).__name__, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"{type(self).__name__}: num_channels is a multiple of num_groups, and {num_channels} is none of "
                f"{num_groups}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._register((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Variable | Array) -> Variable:
        """input: (N, C, ...) -> the same shape, normalized over groups of channels."""
        shape = tuple(input.shape)
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ValueError(
                f"{type(self).__name__}: the input has shape {shape}; it takes (n, {self.num_channels}, ...)"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = f"affine={self.affine}, bias={self.bias is not None}"
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, {affine}"


class LocalResponseNorm(Stateless):
    """``x / (k + alpha / size * s) ** beta``, where s is the sum of ``x * x`` over ``size`` neighbouring
    channels.

    Source: Krizhevsky, Sutskever & Hinton, 2012, section 3.3.

    Parameters
    ----------
    size : int
        The number of channels in the sum. If it is even, there is one more before a channel than after it.
    alpha, beta, k : float

    Raises
    ------
    ValueError
        If the size is not positive. In a call, if the input has fewer than three dimensions.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.LocalResponseNorm(2)(rustorch.ones((1, 3, 2, 2))).shape
    (1, 3, 2, 2)
    """

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        check_positive(type(self).__name__, size=size)
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) -> the same shape, each element divided by a norm of its neighbouring channels."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
