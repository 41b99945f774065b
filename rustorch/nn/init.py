"""Filling parameters, in place. Numbers are drawn on the host in one stream of their own: the same on every device."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..autograd.graph import no_grad
from ..random import weights
from ..variable import Variable

__all__ = [
    "calculate_gain", "constant_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip


def _fill(tensor: Variable, value: Any) -> Variable:
    with no_grad():
        tensor[...] = value
    return tensor


def uniform_(tensor: Variable, a: float = 0.0, b: float = 1.0) -> Variable:
    """Fill with uniform numbers in [a, b); returns the Variable."""
    return _fill(tensor, weights("uniform", tensor.shape, tensor.dtype, scale=b - a, shift=a, device=tensor.device))


def normal_(tensor: Variable, mean: float = 0.0, std: float = 1.0) -> Variable:
    """Fill with normal numbers; returns the Variable."""
    return _fill(tensor, weights("normal", tensor.shape, tensor.dtype, scale=std, shift=mean, device=tensor.device))


def constant_(tensor: Variable, val: float) -> Variable:
    """Fill with one number; returns the Variable."""
    return _fill(tensor, val if tensor.dtype.kind != "f" else float(val))


def zeros_(tensor: Variable) -> Variable:
    """Fill with zeros; returns the Variable."""
    return _fill(tensor, ops.zeros_like(tensor))


def ones_(tensor: Variable) -> Variable:
    """Fill with ones; returns the Variable."""
    return _fill(tensor, ops.ones_like(tensor))


def _fans(tensor: Variable) -> tuple[int, int]:
    """(inputs per output, outputs per input) of a weight of shape (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need a weight of at least two dimensions, not the shape {tensor.shape}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


_GAINS = {"linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
          "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        "linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu" or the name of a convolution.
    param : float, optional
        The slope of "leaky_relu"; default 0.01.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}; known are leaky_relu, {', '.join(_GAINS)}")
    return _GAINS[nonlinearity]


def xavier_uniform_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Fill uniformly, for equal variance forward and backward. Source: Glorot & Bengio, 2010, equation 16."""
    fan_in, fan_out = _fans(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Fill normally, for equal variance forward and backward. Source: Glorot & Bengio, 2010."""
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)))


def _kaiming_std(tensor: Variable, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(_fans(tensor)[mode == "fan_out"] or 1)


def kaiming_uniform_(tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Variable:
    """Fill uniformly, for equal variance through rectifiers. Source: He et al., 2015, equation 10.

    Parameters
    ----------
    tensor : Variable
        A weight, (out, in, ...).
    a : float
        The slope of the rectifier's negative side.
    mode : {"fan_in", "fan_out"}
        Whether to keep the variance forward or backward.
    nonlinearity : str
        As for `calculate_gain`.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Variable:
    """Fill normally, for equal variance through rectifiers; parameters as in `kaiming_uniform_`. Source: He et al., 2015."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))
