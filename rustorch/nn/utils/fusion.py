"""Batch norm in evaluation folded into the layer before it; under torch.nn.utils's names."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from ... import ops
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

Layer = TypeVar("Layer", bound=Module)


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False
) -> tuple[Parameter, Parameter]:
    """The weight and the bias of a convolution that does what it and a batch norm in evaluation did.

    Parameters
    ----------
    conv_w, conv_b : Variable
        The convolution's; the bias may be None.
    bn_rm, bn_rv, bn_eps
        The batch norm's running mean and variance, and its eps.
    bn_w, bn_b : Variable or None
        The batch norm's weight and bias.
    transpose : bool
        Whether the convolution is a transposed one: its second axis has the output channels.

    Examples
    --------
    >>> import rustorch
    >>> one = rustorch.ones(1)
    >>> weight, bias = rustorch.nn.utils.fuse_conv_bn_weights(rustorch.ones((1, 1, 2)), None, one, one, 0.0, 2 * one, None)
    >>> weight.tolist(), bias.tolist()
    ([[[2.0, 2.0]]], [-2.0])
    """
    scale = 1 / ops.sqrt(bn_rv + bn_eps)
    if bn_w is not None:
        scale = scale * bn_w
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    bias = -bn_rm * scale if conv_b is None else (conv_b - bn_rm) * scale
    if bn_b is not None:
        bias = bias + bn_b
    tracked = conv_w.requires_grad
    fused = ops.astype((conv_w * ops.reshape(scale, tuple(shape))).detach(), conv_w.dtype, copy=False)
    fused_bias = ops.astype(bias.detach(), conv_w.dtype if conv_b is None else conv_b.dtype, copy=False)
    return Parameter(fused, tracked), Parameter(fused_bias, tracked if conv_b is None else conv_b.requires_grad)


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """As `fuse_conv_bn_weights`, for a linear layer."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(name: str, layer: Layer, bn: Any, features: int, transpose: bool) -> Layer:
    if layer.training or bn.training:
        raise ValueError(f"{name}: both layers are in evaluation; call .eval() on them first")
    if bn.running_mean is None:
        raise ValueError(f"{name}: the batch norm has no running statistics, so that it depends on its batch")
    if bn.num_features != features:
        raise ValueError(f"{name}: the layer has {features} outputs, the batch norm {bn.num_features} features")
    fused: Any = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_eval(conv: Layer, bn: Any, transpose: bool = False) -> Layer:
    """A copy of a convolution that does what it and the batch norm after it do in evaluation.

    Parameters
    ----------
    conv : Conv1d to Conv3d, or with ``transpose`` ConvTranspose1d to ConvTranspose3d
    bn : BatchNorm1d to BatchNorm3d
    transpose : bool

    Raises
    ------
    ValueError
        If one of them is in training, or they do not fit.

    Examples
    --------
    >>> import rustorch
    >>> conv, norm = rustorch.Conv2d(1, 3, 2).eval(), rustorch.BatchNorm2d(3).eval()
    >>> x = rustorch.randn(2, 1, 4, 4)
    >>> fused = rustorch.nn.utils.fuse_conv_bn_eval(conv, norm)
    >>> bool(rustorch.all(rustorch.abs(fused(x) - norm(conv(x))) < 1e-5))
    True
    """
    made: Any = conv
    return _fused("fuse_conv_bn_eval", conv, bn, made.out_channels, transpose)


def fuse_linear_bn_eval(linear: Layer, bn: Any) -> Layer:
    """A copy of a linear layer that does what it and the batch norm after it do in evaluation; see
    `fuse_conv_bn_eval`.
    """
    made: Any = linear
    return _fused("fuse_linear_bn_eval", linear, bn, made.out_features, False)
