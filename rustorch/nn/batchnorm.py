"""Normalization of every channel: over the batch, or sample by sample."""

from __future__ import annotations

import warnings
from typing import Any

from .. import ops
from ..autograd.checkpoint import is_repeating
from ..backends import dtypes
from . import functional as F
from .normalization import Affine, check_positive

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _Channels(Affine):
    """What batch and instance norm share: parameters and running statistics of the channels."""

    running_mean: Any
    running_var: Any
    num_batches_tracked: Any
    #: The shapes that an input may have.
    _forms: tuple[str, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        check_positive(type(self).__name__, num_features=num_features)
        if dtype is not None:
            dtypes.as_dtype(dtype)  # raises, also where there are neither parameters nor statistics
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._register((num_features,), affine, affine and bias, device, dtype)
        tracked = track_running_stats
        place = {"device": device, "dtype": dtype}
        self.register_buffer("running_mean", ops.zeros((num_features,), **place) if tracked else None)
        self.register_buffer("running_var", ops.ones((num_features,), **place) if tracked else None)
        count = ops.zeros((), device=device, dtype=dtypes.int64) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batch."""
        if self.track_running_stats:
            for buffer, value in ((self.running_mean, 0.0), (self.running_var, 1.0), (self.num_batches_tracked, 0)):
                buffer[...] = value

    def reset_parameters(self) -> None:
        """Ones for the weight, zeros for the bias; the statistics are forgotten."""
        self.reset_running_stats()
        super().reset_parameters()

    def _checked(self, input: Any) -> Any:
        """The input, of a form and a number of channels that the layer takes."""
        shape = tuple(input.shape)
        if all(len(shape) != len(form.split(",")) for form in self._forms):
            raise ValueError(f"{type(self).__name__}: the input has shape {shape}; it takes {' or '.join(self._forms)}")
        return input

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Channels):
    def forward(self, input: Any) -> Any:
        """The input (n, channels, ...), normalized; in training, the running statistics take their share of the
        batch's.
        """
        shape = tuple(self._checked(input).shape)
        if shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: the input has shape {shape}; its channels are {self.num_features}, not "
                f"{shape[1]}"
            )
        count, momentum = None, self.momentum
        if self.training and self.track_running_stats and not is_repeating():
            count = self.num_batches_tracked + 1
            if momentum is None:  # the mean over all batches
                momentum = 1 / ops.astype(count, self.running_mean.dtype)
        batch = self.training or self.running_mean is None
        # without tracking, statistics that were loaded serve evaluation alone
        mean, var = (
            (self.running_mean, self.running_var) if not self.training or self.track_running_stats else (None, None)
        )
        out = F.batch_norm(input, mean, var, self.weight, self.bias, batch, momentum, self.eps)
        if count is not None:
            self.num_batches_tracked[...] = count
        return out


class BatchNorm1d(_BatchNorm):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the moments of every channel over the batch (and the
    length).

    Training takes the moments of the batch and keeps running ones; evaluation takes those.
    Source: Ioffe & Szegedy, "Batch normalization", 2015, algorithms 1 and 2.

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
    momentum : float, or None
        The share of a batch in the running statistics; None for the mean over all batches.
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Whether running statistics are kept; without them, evaluation takes the moments of the batch, too.
    device, dtype : optional
        Of the parameters; default: the default device, float32.
    bias : bool
        Whether there is a bias beside the weight.

    Attributes
    ----------
    weight, bias : Parameter, (num_features,), or None
        Initially ones and zeros.
    running_mean, running_var : Variable, (num_features,), or None
        Initially zeros and ones. The variance is the unbiased one.
    num_batches_tracked : Variable of shape (), or None

    Raises
    ------
    ValueError
        If the input is not (n, channels) or (n, channels, length), or training has one value per channel. The
        statistics are as they were then.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.BatchNorm1d(2)
    >>> layer(rustorch.tensor([[1.0, 5.0], [3.0, 9.0]])).shape
    (2, 2)
    >>> layer.running_mean
    Variable([0.2, 0.7])
    """

    _forms = ("(n, channels)", "(n, channels, length)")


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images, (n, channels, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.BatchNorm2d(3)(rustorch.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _forms = ("(n, channels, height, width)",)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes, (n, channels, depth, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.BatchNorm3d(3)(rustorch.ones((2, 3, 2, 2, 2))).shape
    (2, 3, 2, 2, 2)
    """

    _forms = ("(n, channels, depth, height, width)",)


class _InstanceNorm(_Channels):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Any) -> Any:
        """The input (n, channels, ...), or one sample of it, normalized in every channel of every sample."""
        shape = tuple(self._checked(input).shape)
        single = len(shape) == len(self._forms[0].split(","))
        channels = shape[0 if single else 1]
        if channels != self.num_features:
            text = f"{type(self).__name__}: the input has shape {shape}; its channels are {self.num_features}, not {channels}"
            if self.affine or self.track_running_stats:
                raise ValueError(text)
            warnings.warn(f"{text}; without affine and statistics, the number is not used", UserWarning, stacklevel=3)
        batch = ops.expand_dims(input, axis=0) if single else input
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
        return ops.squeeze(out, axis=0) if single else out


class InstanceNorm1d(_InstanceNorm):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, with the moments of every channel of every sample by itself.

    Source: Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016.

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
    momentum : float
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Whether training keeps running statistics, by which evaluation normalizes.
    device, dtype : optional
        Of the parameters; default: the default device, float32.
    bias : bool
        Whether there is a bias beside the weight.

    Raises
    ------
    ValueError
        If the input is not (channels, length) or (n, channels, length), or has one value per channel. The statistics
        are as they were then.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.InstanceNorm1d(1)(rustorch.tensor([[0.0, 2.0], [0.0, 20.0]]).reshape((2, 1, 2))).shape
    (2, 1, 2)
    """

    _forms = ("(channels, length)", "(n, channels, length)")


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images, (channels, height, width) or (n, channels, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.InstanceNorm2d(3)(rustorch.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _forms = ("(channels, height, width)", "(n, channels, height, width)")


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes, (channels, depth, height, width) or (n, channels, depth, height, width).

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.InstanceNorm3d(3)(rustorch.ones((3, 2, 2, 2))).shape
    (3, 2, 2, 2)
    """

    _forms = ("(channels, depth, height, width)", "(n, channels, depth, height, width)")
