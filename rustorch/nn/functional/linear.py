"""Affine and bilinear maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.graph import VARIABLES
from ...ops import network
from .checks import adopt, floating
from .dtype_checks import one_dtype

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["bilinear", "linear"]


def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Variable:
    """``input @ weight.T + bias``.

    Parameters
    ----------
    input : Variable or array, (..., in_features)
    weight : Variable or array, (out_features, in_features)
    bias : Variable or array, (out_features,), optional

    Returns
    -------
    Variable, (..., out_features)

    Raises
    ------
    ValueError
        If the last size of the input is not ``in_features``.
    TypeError
        If input, weight and bias do not have one dtype.
    """
    x: Any = input if type(input) in VARIABLES else adopt(input, "linear", (weight,))
    w: Any = weight if type(weight) in VARIABLES else adopt(weight, "linear", (x,))
    b: Any = bias if bias is None or type(bias) in VARIABLES else adopt(bias, "linear", (x,))
    shape, weight_shape = x._native.shape, w._native.shape
    if not shape or len(weight_shape) != 2 or shape[-1] != weight_shape[1]:
        raise ValueError(
            f"linear: the input has shape {tuple(shape)}, but a weight of shape {tuple(weight_shape)} takes "
            f"{weight_shape[-1] if weight_shape else 'no'} features in its last dimension"
        )
    if b is not None and b._native.shape != weight_shape[:1]:
        raise ValueError(
            f"linear: the bias has shape {b.shape}, but a weight of shape {tuple(weight_shape)} has "
            f"{weight_shape[0]} outputs"
        )
    dtype = x._native.dtype
    if dtype is not w._native.dtype or (b is not None and dtype is not b._native.dtype):
        one_dtype("linear", input=x, weight=w, bias=b)
    return network.linear.call(x, w, b)


def bilinear(input1: ArrayLike, input2: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Variable:
    """``y[k] = sum over i, j of x1[i] * weight[k, i, j] * x2[j] + bias[k]``.

    Parameters
    ----------
    input1 : Variable or array, (..., in1)
    input2 : Variable or array, (..., in2)
        Its sizes before the last one are those of ``input1``.
    weight : Variable or array, (out, in1, in2)
    bias : Variable or array, (out,), optional

    Returns
    -------
    Variable, (..., out)

    Raises
    ------
    ValueError
        If shapes do not fit.
    TypeError
        If the arguments do not have one floating-point dtype.

    Examples
    --------
    >>> import rustorch
    >>> x, w = rustorch.tensor([1.0, 2.0]), rustorch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    >>> rustorch.nn.functional.bilinear(x, x, w).tolist()
    [7.0]
    """
    input1, input2 = floating(input1, "bilinear"), floating(input2, "bilinear")
    weight = adopt(weight, "bilinear", (input1,))
    if (
        weight.ndim != 3
        or not input1.ndim
        or not input2.ndim
        or (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]
    ):
        raise ValueError(
            f"bilinear: the inputs have shapes {input1.shape} and {input2.shape}, but a weight of shape {weight.shape} "
            f"takes {' and '.join(map(str, weight.shape[1:])) or 'no'} features in their last dimensions"
        )
    if input1.shape[:-1] != input2.shape[:-1]:
        raise ValueError(
            f"bilinear: the inputs' leading sizes are equal, not {input1.shape[:-1]} and {input2.shape[:-1]}"
        )
    bias = None if bias is None else adopt(bias, "bilinear", (input1,))
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bilinear: the bias has shape {bias.shape}, but a weight of shape {weight.shape} has {weight.shape[0]} "
            f"outputs"
        )
    one_dtype("bilinear", input1=input1, input2=input2, weight=weight, bias=bias)
    rows = ops.tensordot(input1, weight, axes=((-1,), (1,)))  # (..., out, in2)
    out = ops.sum(rows * ops.expand_dims(input2, axis=-2), axis=-1)
    return out if bias is None else out + bias
