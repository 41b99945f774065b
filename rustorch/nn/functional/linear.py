"""Affine maps."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...autograd.check import adopt
from ...autograd.graph import VARIABLES
from ...ops import network
from ...variable import Variable

__all__ = ["linear"]


def linear(input: Any, weight: Any, bias: Any = None) -> Variable:
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
    """
    if type(input) not in VARIABLES or type(weight) not in VARIABLES:
        input, weight = adopt(input, "linear", (weight,)), adopt(weight, "linear", (input,))
    have, need = input._native.shape, weight._native.shape
    if not have or len(need) != 2 or have[-1] != need[1]:
        raise ValueError(
            f"linear: the input has shape {tuple(have)}, but a weight of shape {tuple(need)} takes {need[-1] if need else 'no'} "
            f"features in its last dimension"
        )
    if bias is not None:
        if type(bias) not in VARIABLES:
            bias = adopt(bias, "linear", (input,))
        if bias._native.shape != need[:1]:
            raise ValueError(
                f"linear: the bias has shape {bias.shape}, but a weight of shape {tuple(need)} has {need[0]} outputs"
            )
    if input._native.dtype is not weight._native.dtype:
        ops.result_type(input, weight)  # raises for kinds that do not mix
    return network.linear.call(input, weight, bias)
