"""Activations made of pieces, such as ReLU, PReLU and ELU. A name with a final underscore works in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ops
from ...autograd.primitive import Primitive
from ...ops import network
from ...random import rand
from .checks import adopt, in_place, real
from .dtype_checks import one_dtype

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = [
    "celu", "celu_", "elu", "elu_", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "leaky_relu",
    "leaky_relu_", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_", "softshrink", "threshold",
    "threshold_",
]  # fmt: skip

#: SELU's constants: with them layers keep mean 0 and variance 1. Source: Klambauer et al., "Self-normalizing neural
#: networks", 2017.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _elementwise(name: str, primitive: Primitive, input: ArrayLike, inplace: bool, *options: float) -> Variable:
    input = real(input, name)
    if inplace:
        return in_place(input, lambda: primitive.call(input, *options), name)
    return primitive.call(input, *options)


def relu(input: ArrayLike, inplace: bool = False) -> Variable:
    """``max(input, 0)``, elementwise; the gradient at 0 is 0.

    Parameters
    ----------
    input : Variable or array
    inplace : bool
        Whether the input becomes the output. An untracked input is overwritten. A tracked input gets a new array and a
        place in the graph.

    Raises
    ------
    RuntimeError
        If a leaf that requires grad would change in place.
    """
    if inplace:
        input = adopt(input, "relu")
        return in_place(input, lambda: network.relu.call(input), "relu")
    return network.relu.call(input)


def relu_(input: ArrayLike) -> Variable:
    """`relu` in place."""
    return relu(input, inplace=True)


def relu6(input: ArrayLike, inplace: bool = False) -> Variable:
    """``min(max(input, 0), 6)``, elementwise. Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10",
    2010.
    """
    return _elementwise("relu6", network.hardtanh, input, inplace, 0.0, 6.0)


def leaky_relu(input: ArrayLike, negative_slope: float = 0.01, inplace: bool = False) -> Variable:
    """``input`` above 0, ``negative_slope * input`` below, elementwise.

    Source: Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """
    return _elementwise("leaky_relu", network.leaky_relu, input, inplace, float(negative_slope))


def leaky_relu_(input: ArrayLike, negative_slope: float = 0.01) -> Variable:
    """`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def prelu(input: ArrayLike, weight: ArrayLike) -> Variable:
    """``input`` above 0, ``weight * input`` below, with one weight for each channel.

    Parameters
    ----------
    input : Variable or array
        Dimension 1 holds the channels. An input with one dimension, or none, has one channel.
    weight : Variable or array, (channels,), (1,) or ()
        The slopes below 0.

    Raises
    ------
    ValueError
        If there are several weights, but not one weight for each channel.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[-4.0, -4.0], [1.0, 1.0]])
    >>> rustorch.nn.functional.prelu(x, rustorch.tensor([0.5, 0.25])).tolist()
    [[-2.0, -1.0], [1.0, 1.0]]

    Source: He et al., "Delving deep into rectifiers", 2015.
    """
    input, weight = real(input, "prelu"), real(weight, "prelu")
    if weight.ndim > 1:
        raise ValueError(f"prelu: the weight has one dimension or none, not the shape {weight.shape}")
    if weight.size != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.size != channels:
            raise ValueError(
                f"prelu: {weight.size} weights for an input of shape {input.shape}, which has {channels} channels"
            )
        weight = ops.reshape(weight, (weight.size, *(1,) * (input.ndim - 2)))
    elif weight.ndim > input.ndim:
        weight = ops.reshape(weight, ())
    if input._native.dtype is not weight._native.dtype:
        one_dtype("prelu", input=input, weight=weight)
    return network.prelu.call(input, weight)


def rrelu(
    input: ArrayLike, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Variable:
    """``input`` above 0, ``a * input`` below. In training each element has a random ``a`` in [lower, upper).

    Parameters
    ----------
    input : Variable or array
    lower, upper : float
    training : bool
        Whether to draw ``a``, uniformly. Otherwise ``a = (lower + upper) / 2``.
    inplace : bool

    Raises
    ------
    ValueError
        If ``lower`` is above ``upper``.

    Source: Xu et al., "Empirical evaluation of rectified activations in convolutional network", 2015.
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower={lower} is above upper={upper}")
    input = real(input, "rrelu")
    if not training:
        return _elementwise("rrelu", network.leaky_relu, input, inplace, (lower + upper) / 2)

    def draw() -> Variable:
        slopes = rand(input.shape, dtype=input.dtype, device=input.device) * (upper - lower) + lower
        return network.prelu.call(input, slopes)

    return in_place(input, draw, "rrelu") if inplace else draw()


def rrelu_(input: ArrayLike, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Variable:
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


def elu(input: ArrayLike, alpha: float = 1.0, inplace: bool = False) -> Variable:
    """``input`` above 0, ``alpha * (exp(input) - 1)`` below, elementwise.

    Source: Clevert, Unterthiner & Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    2015.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.elu(rustorch.tensor([-1000.0, 1000.0]), alpha=2.0).tolist()
    [-2.0, 1000.0]
    """
    return _elementwise("elu", network.elu, input, inplace, float(alpha), 1.0, 1.0)


def elu_(input: ArrayLike, alpha: float = 1.0) -> Variable:
    """`elu` in place."""
    return elu(input, alpha, inplace=True)


def celu(input: ArrayLike, alpha: float = 1.0, inplace: bool = False) -> Variable:
    """``input`` above 0, ``alpha * (exp(input / alpha) - 1)`` below, elementwise: `elu` with a continuous derivative.

    Raises ValueError if ``alpha`` is 0. Source: Barron, "Continuously differentiable exponential linear units", 2017.
    """
    if not alpha:
        raise ValueError("celu: alpha is a divisor and must not be 0")
    return _elementwise("celu", network.elu, input, inplace, float(alpha), 1.0, float(1 / alpha))


def celu_(input: ArrayLike, alpha: float = 1.0) -> Variable:
    """`celu` in place."""
    return celu(input, alpha, inplace=True)


def selu(input: ArrayLike, inplace: bool = False) -> Variable:
    """`elu` with the ``alpha`` and the scale that keep mean 0 and variance 1 through layers.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return _elementwise("selu", network.elu, input, inplace, _SELU_ALPHA, _SELU_SCALE, 1.0)


def selu_(input: ArrayLike) -> Variable:
    """`selu` in place."""
    return selu(input, inplace=True)


def threshold(input: ArrayLike, threshold: float, value: float, inplace: bool = False) -> Variable:
    """``input`` above ``threshold``, ``value`` elsewhere, elementwise."""
    return _elementwise("threshold", network.threshold, input, inplace, float(threshold), float(value))


def threshold_(input: ArrayLike, threshold: float, value: float) -> Variable:
    """`threshold` in place."""
    return _elementwise("threshold", network.threshold, input, True, float(threshold), float(value))


def hardtanh(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Variable:
    """``min(max(input, min_val), max_val)``, elementwise; the gradient is 0 at both corners.

    Raises ValueError if ``min_val`` is above ``max_val``.
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is above max_val={max_val}")
    return _elementwise("hardtanh", network.hardtanh, input, inplace, float(min_val), float(max_val))


def hardtanh_(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0) -> Variable:
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def hardsigmoid(input: ArrayLike, inplace: bool = False) -> Variable:
    """``min(max(input / 6 + 1 / 2, 0), 1)``, elementwise. Source: Howard et al., "Searching for MobileNetV3", 2019."""
    return _elementwise("hardsigmoid", network.hardsigmoid, input, inplace)


def hardswish(input: ArrayLike, inplace: bool = False) -> Variable:
    """``input * hardsigmoid(input)``, elementwise. Source: Howard et al., "Searching for MobileNetV3", 2019."""
    return _elementwise("hardswish", network.hardswish, input, inplace)


def hardshrink(input: ArrayLike, lambd: float = 0.5) -> Variable:
    """``input`` where ``abs(input) > lambd``, else 0, elementwise."""
    return _elementwise("hardshrink", network.hardshrink, input, False, float(lambd))


def softshrink(input: ArrayLike, lambd: float = 0.5) -> Variable:
    """``input`` moved towards 0 by ``lambd``, elementwise: ``sign(input) * max(abs(input) - lambd, 0)``.

    Raises ValueError if ``lambd`` is negative.
    """
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd must be at least 0, not {lambd}")
    return _elementwise("softshrink", network.softshrink, input, False, float(lambd))
