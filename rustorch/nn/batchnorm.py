"""Batch normalization and instance normalization: normalize each channel over the batch, or over one sample."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.checkpoint import is_repeating
from ..backends import dtypes
from . import functional as F
from .normalization import Affine, check_positive

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _Channels(Affine):
    """The base of batch and instance norm: parameters and running statistics for each channel."""

    running_mean: Any  # these three: a Variable, or None without statistics
    running_var: Any
    num_batches_tracked: Any
    #: The shapes that an input may have.
    _input_shapes: tuple[str, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        check_positive(type(self).__name__, num_features=num_features)
        if dtype is not None:
            dtypes.as_dtype(dtype)  # check it even if the layer has neither parameters nor statistics
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._register((num_features,), affine, affine and bias, device, dtype)
        tracked = track_running_stats
        options = {"device": device, "dtype": dtype}
        self.register_buffer("running_mean", ops.zeros((num_features,), **options) if tracked else None)
        self.register_buffer("running_var", ops.ones((num_features,), **options) if tracked else None)
        count = ops.zeros((), device=device, dtype=dtypes.int64) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running variance to 1, and the number of batches to 0."""
        if self.track_running_stats:
            for buffer, value in ((self.running_mean, 0.0), (self.running_var, 1.0), (self.num_batches_tracked, 0)):
                buffer[...] = value

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros, and reset the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def _checked_shape(self, input: Any) -> tuple[int, ...]:
        """The shape of the input. Raises ValueError if it has the wrong number of dimensions."""
        shape = tuple(input.shape)
        if all(len(shape) != len(allowed.split(",")) for allowed in self._input_shapes):
            allowed_shapes = " or ".join(self._input_shapes)
            raise ValueError(f"{type(self).__name__}: the input has shape {shape}; it takes {allowed_shapes}")
        return shape

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Channels):
    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) -> the same shape, each channel normalized over the batch or by the running statistics."""
        shape = self._checked_shape(input)
        if shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: the input has shape {shape}; its channels are {self.num_features}, not "
                f"{shape[1]}"
            )
        count = None
        momentum: float | Variable = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and not is_repeating():
            count = self.num_batches_tracked + 1
            if self.momentum is None:  # then the running statistics are means over all batches
                momentum = 1 / ops.astype(count, self.running_mean.dtype)
        use_batch_statistics = self.training or self.running_mean is None
        mean, var = self.running_mean, self.running_var
        if self.training and not self.track_running_stats:  # statistics that were loaded are for evaluation only
            mean = var = None
        out = F.batch_norm(input, mean, var, self.weight, self.bias, use_batch_statistics, momentum, self.eps)
        if count is not None:
            self.num_batches_tracked[...] = count
        return out


class BatchNorm1d(_BatchNorm):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the mean and the variance of each channel.

    In training they are computed over the batch, and running statistics are updated. Evaluation uses the running
    statistics.

    Source: Ioffe & Szegedy, "Batch normalization", 2015, algorithms 1 and 2.

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
    momentum : float, or None
        The weight of a new batch in the running statistics. None makes them the means over all batches.
    affine : bool
        Whether to multiply by a weight and add a bias.
    track_running_stats : bool
        Whether to keep running statistics. Without them, evaluation uses the statistics of the batch too.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.
    bias : bool
        Whether to add a bias beside the weight.

    Attributes
    ----------
    weight, bias : Parameter, (num_features,), or None
        Initially ones and zeros.
    running_mean, running_var : Variable, (num_features,), or None
        Initially zeros and ones. The variance is unbiased.
    num_batches_tracked : Variable of shape (), or None

    Raises
    ------
    ValueError
        If the input is not (n, channels) or (n, channels, length), or if there is one value per channel in training.
        The statistics do not change then.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.BatchNorm1d(2)
    >>> layer(rustorch.tensor([[1.0, 5.0], [3.0, 9.0]])).shape
    (2, 2)
    >>> layer.running_mean
    Variable([0.2, 0.7])
    """

    _input_shapes = ("(n, channels)", "(n, channels, length)")


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images: (n, channels, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.BatchNorm2d(3)(rustorch.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _input_shapes = ("(n, channels, height, width)",)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes: (n, channels, depth, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.BatchNorm3d(3)(rustorch.ones((2, 3, 2, 2, 2))).shape
    (2, 3, 2, 2, 2)
    """

    _input_shapes = ("(n, channels, depth, height, width)",)


class _InstanceNorm(_Channels):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C, ...) -> the same shape, each channel of each sample normalized."""
        shape = self._checked_shape(input)
        has_batch = len(shape) != len(self._input_shapes[0].split(","))
        channels = shape[1 if has_batch else 0]
        if channels != self.num_features:
            name = type(self).__name__
            text = f"{name}: the input has shape {shape}; its channels are {self.num_features}, not {channels}"
            if self.affine or self.track_running_stats:
                raise ValueError(text)
            warnings.warn(f"{text}; without affine and statistics, the number is not used", UserWarning, stacklevel=3)
        batch = input if has_batch else ops.expand_dims(input, axis=0)
        out = F.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return out if has_batch else ops.squeeze(out, axis=0)


class InstanceNorm1d(_InstanceNorm):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the mean and the variance of each channel of each
    sample.

    Source: Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016.

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
    momentum : float
    affine : bool
        Whether to multiply by a weight and add a bias.
    track_running_stats : bool
        Whether to update running statistics in training and to use them in evaluation.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.
    bias : bool
        Whether to add a bias beside the weight.

    Raises
    ------
    ValueError
        If the input is not (channels, length) or (n, channels, length), or has one value per channel. The statistics
        do not change then.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.InstanceNorm1d(1)(rustorch.tensor([[0.0, 2.0], [0.0, 20.0]]).reshape((2, 1, 2))).shape
    (2, 1, 2)
    """

    _input_shapes = ("(channels, length)", "(n, channels, length)")


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images: (channels, height, width) or (n, channels, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.InstanceNorm2d(3)(rustorch.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _input_shapes = ("(channels, height, width)", "(n, channels, height, width)")


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes: (channels, depth, height, width) or (n, channels, depth, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.InstanceNorm3d(3)(rustorch.ones((3, 2, 2, 2))).shape
    (3, 2, 2, 2)
    """

    _input_shapes = ("(channels, depth, height, width)", "(n, channels, depth, height, width)")
