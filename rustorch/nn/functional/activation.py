"""Activations."""

from __future__ import annotations

import warnings
from typing import Any

from ... import ops
from ...autograd.check import adopt
from ...ops import network
from ...ops.helpers import one_axis
from ...ops.indexing import assign
from ...variable import Variable
from .checks import floating

__all__ = ["log_softmax", "relu", "relu_", "sigmoid", "softmax", "tanh"]


def relu(input: Any, inplace: bool = False) -> Variable:
    """``max(input, 0)``, elementwise; the gradient at 0 is 0.

    Parameters
    ----------
    input : Variable or array
    inplace : bool
        Whether the input itself becomes the output. One that is tracked gets a new array and a place in the graph; one that is
        not is overwritten.

    Raises
    ------
    RuntimeError
        In place on a leaf that requires grad.
    """
    if inplace:
        input = adopt(input, "relu")
        assign(input, lambda: network.relu.call(input), "relu(inplace=True)")
        return input
    return network.relu.call(input)


def relu_(input: Any) -> Variable:
    """`relu` in place."""
    return relu(input, inplace=True)


def sigmoid(input: Any) -> Variable:
    """``1 / (1 + exp(-input))``, elementwise, without overflow."""
    return network.sigmoid.call(floating(input, "sigmoid"))


def tanh(input: Any) -> Variable:
    """Hyperbolic tangent, elementwise."""
    return ops.tanh(input)


def _softmax_dim(input: Variable, dim: int | None, name: str) -> int:
    if dim is None:
        warnings.warn(
            f"{name} without dim chooses one by the number of dimensions; name it, as in dim=-1", UserWarning, stacklevel=3
        )
        dim = 0 if input.ndim in (0, 1, 3) else 1
    if not input.ndim:
        raise ValueError(f"{name}: the input needs a dimension to sum along; its shape is ()")
    return one_axis(dim, input.ndim)


def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Variable:
    """``exp(input) / sum(exp(input))`` along a dimension.

    Parameters
    ----------
    input : Variable or array
        Of at least one dimension.
    dim : int
        What sums to 1.
    dtype : dtype, optional
        To compute in.
    """
    input = floating(input if dtype is None else ops.astype(input, dtype, copy=False), "softmax")
    return network.softmax(input, _softmax_dim(input, dim, "softmax"))


def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Variable:
    """The logarithm of `softmax`, computed without it: exact where the softmax is 0 in floating point."""
    input = floating(input if dtype is None else ops.astype(input, dtype, copy=False), "log_softmax")
    return network.log_softmax(input, _softmax_dim(input, dim, "log_softmax"))
