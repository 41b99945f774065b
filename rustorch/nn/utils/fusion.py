"""Fuse a batch norm in evaluation into the layer before it; the names are those of torch.nn.utils."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from ... import ops
from ..module import Module
from ..parameter import Parameter

if TYPE_CHECKING:
    from ...variable import Variable

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

Layer = TypeVar("Layer", bound=Module)


def fuse_conv_bn_weights(
    conv_w: Variable,
    conv_b: Variable | None,
    bn_rm: Variable,
    bn_rv: Variable,
    bn_eps: float,
    bn_w: Variable | None,
    bn_b: Variable | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """The weight and the bias of a convolution that computes what a convolution and a batch norm compute in evaluation.

    Parameters
    ----------
    conv_w, conv_b : Variable
        The weight and the bias of the convolution. The bias may be None.
    bn_rm, bn_rv, bn_eps
        The running mean, the running variance and the eps of the batch norm.
    bn_w, bn_b : Variable or None
        The weight and the bias of the batch norm.
    transpose : bool
        Whether the convolution is transposed: the second dimension of its weight has the output channels.

    Examples
    --------
    >>> import rustorch
    >>> one, kernel = rustorch.ones(1), rustorch.ones((1, 1, 2))
    >>> weight, bias = rustorch.nn.utils.fuse_conv_bn_weights(kernel, None, one, one, 0.0, 2 * one, None)
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
    requires_grad = conv_w.requires_grad
    fused = ops.astype((conv_w * ops.reshape(scale, tuple(shape))).detach(), conv_w.dtype, copy=False)
    fused_bias = ops.astype(bias.detach(), conv_w.dtype if conv_b is None else conv_b.dtype, copy=False)
    return Parameter(fused, requires_grad), Parameter(
        fused_bias, requires_grad if conv_b is None else conv_b.requires_grad
    )


def fuse_linear_bn_weights(
    linear_w: Variable,
    linear_b: Variable | None,
    bn_rm: Variable,
    bn_rv: Variable,
    bn_eps: float,
    bn_w: Variable | None,
    bn_b: Variable | None,
) -> tuple[Parameter, Parameter]:
    """The same as `fuse_conv_bn_weights`, for a linear layer."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(name: str, layer: Layer, bn: Any, features: int, transpose: bool) -> Layer:
    """A copy of the layer with the fused weight and bias. Raises ValueError if the layers cannot be fused."""
    if layer.training or bn.training:
        raise ValueError(f"{name}: both layers must be in evaluation; call .eval() on them first")
    if bn.running_mean is None:
        raise ValueError(f"{name}: the batch norm has no running statistics, so its output depends on the batch")
    if bn.num_features != features:
        raise ValueError(f"{name}: the layer has {features} outputs, the batch norm {bn.num_features} features")
    fused: Any = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    result: Layer = fused
    return result


def fuse_conv_bn_eval(conv: Layer, bn: Any, transpose: bool = False) -> Layer:
    """A copy of a convolution that computes what it and the batch norm after it compute in evaluation.

    Parameters
    ----------
    conv : Conv1d, Conv2d or Conv3d, or with ``transpose`` ConvTranspose1d, ConvTranspose2d or ConvTranspose3d
    bn : BatchNorm1d, BatchNorm2d or BatchNorm3d
    transpose : bool

    Raises
    ------
    ValueError
        If one of the layers is in training, or their sizes do not match.

    Examples
    --------
    >>> import rustorch
    >>> conv, norm = rustorch.Conv2d(1, 3, 2).eval(), rustorch.BatchNorm2d(3).eval()
    >>> x = rustorch.randn(2, 1, 4, 4)
    >>> fused = rustorch.nn.utils.fuse_conv_bn_eval(conv, norm)
    >>> bool(rustorch.all(rustorch.abs(fused(x) - norm(conv(x))) < 1e-5))
    True
    """
    layer: Any = conv
    return _fused("fuse_conv_bn_eval", conv, bn, layer.out_channels, transpose)


def fuse_linear_bn_eval(linear: Layer, bn: Any) -> Layer:
    """A copy of a linear layer that computes what it and the batch norm after it compute in evaluation.

    See `fuse_conv_bn_eval`.
    """
    layer: Any = linear
    return _fused("fuse_linear_bn_eval", linear, bn, layer.out_features, False)
