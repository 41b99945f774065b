"""Fill parameters in place. Random numbers come from one generator on the host: the same numbers on every device."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from .. import ops
from ..autograd.modes import no_grad
from ..ops import linalg
from ..random import weights
from ..variable import Variable

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip


def _fill(tensor: Variable, value: Any) -> Variable:
    """Write a value into the Variable without recording it. Returns the Variable."""
    with no_grad():
        tensor[...] = value
    return tensor


def _check_numbers(name: str, **values: Any) -> None:
    """Raise TypeError or ValueError unless all values are finite numbers."""
    for argument, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name}: {argument} is a number, not {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{name}: {argument} is finite, not {value!r}")


def uniform_(tensor: Variable, a: float = 0.0, b: float = 1.0) -> Variable:
    """Fill with uniform numbers in [a, b). Returns the Variable.

    Raises
    ------
    ValueError
        If a bound is not finite, or a is above b.
    """
    _check_numbers("uniform_", a=a, b=b)
    if a > b:
        raise ValueError(f"uniform_: numbers are from a to b; got a={a} above b={b}")
    return _fill(tensor, weights("uniform", tensor.shape, tensor.dtype, scale=b - a, shift=a, device=tensor.device))


def normal_(tensor: Variable, mean: float = 0.0, std: float = 1.0) -> Variable:
    """Fill with normal numbers. Returns the Variable.

    Raises
    ------
    ValueError
        If a number is not finite, or std is negative.
    """
    _check_numbers("normal_", mean=mean, std=std)
    if std < 0:
        raise ValueError(f"normal_: std must be at least 0, not {std}")
    return _fill(tensor, weights("normal", tensor.shape, tensor.dtype, scale=std, shift=mean, device=tensor.device))


def constant_(tensor: Variable, val: float) -> Variable:
    """Fill with one number. Returns the Variable."""
    return _fill(tensor, val if tensor.dtype.kind != "f" else float(val))


def zeros_(tensor: Variable) -> Variable:
    """Fill with zeros. Returns the Variable."""
    return _fill(tensor, ops.zeros_like(tensor))


def ones_(tensor: Variable) -> Variable:
    """Fill with ones. Returns the Variable."""
    return _fill(tensor, ops.ones_like(tensor))


def _drawn(kind: str, tensor: Variable, shape: tuple[int, ...], scale: float = 1.0, shift: float = 0.0) -> Variable:
    """Random numbers on the host, for further computation there, so that results are the same on every device."""
    return weights(kind, shape, tensor.dtype, scale=scale, shift=shift, device="cpu")


def trunc_normal_(tensor: Variable, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Variable:
    """Fill with normal numbers in [a, b]. Numbers outside are drawn again. Returns the Variable.

    Parameters
    ----------
    tensor : Variable
        It holds real floating-point numbers.
    mean, std : float
        The mean and the standard deviation of the normal distribution.
    a, b : float
        The bounds.

    Raises
    ------
    ValueError
        If std is not positive, or a is not below b.
    TypeError
        If the Variable does not hold real floating-point numbers.
    """
    if tensor.dtype.kind != "f":
        raise TypeError(f"trunc_normal_ is of real floating-point numbers, not of {tensor.dtype}")
    _check_numbers("trunc_normal_", mean=mean, std=std)
    if isinstance(a, bool) or isinstance(b, bool) or not isinstance(a, Real) or not isinstance(b, Real):
        raise TypeError(f"trunc_normal_: the bounds are numbers, not {a!r} and {b!r}")
    if not std > 0 or not a < b:
        raise ValueError(f"trunc_normal_: std is positive and a below b; got std={std}, a={a}, b={b}")
    low, high = (math.erf((bound - mean) / std / math.sqrt(2)) for bound in (a, b))
    peak = max(a, min(mean, b))

    def candidates() -> tuple[Variable, Variable]:
        """Random numbers, and a mask of those to draw again."""
        if high - low > 0.6:  # more than 30 % of all normal numbers lie between the bounds
            x = _drawn("normal", tensor, tensor.shape, std, mean)
            return x, ops.logical_or(x < a, x > b)
        x = _drawn("uniform", tensor, tensor.shape, b - a, a)
        density = ops.exp(((peak - mean) ** 2 - (x - mean) ** 2) / (2 * std**2))
        return x, _drawn("uniform", tensor, tensor.shape) > density

    values, again = candidates()
    while ops.any(again).item():
        others, refused = candidates()
        values = ops.where(again, others, values)
        again = ops.logical_and(again, refused)
    # rounding may put b - a + a above b
    return _fill(tensor, ops.clip(values, a, b).to(tensor.device))


def eye_(tensor: Variable) -> Variable:
    """Fill a matrix with ones on its diagonal and zeros elsewhere. Returns the Variable.

    Raises
    ------
    ValueError
        If it does not have two dimensions.
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_ fills a matrix, not a Variable of shape {tensor.shape}")
    return _fill(tensor, ops.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


def dirac_(tensor: Variable, groups: int = 1) -> Variable:
    """Fill the weight of a convolution so that it passes its channels on unchanged. Returns the Variable.

    Each group passes on as many channels as it has inputs and outputs.

    Parameters
    ----------
    tensor : Variable, (out, in, *kernel)
        The weight, with one, two or three kernel dimensions.
    groups : int
        The number of groups of the convolution.

    Raises
    ------
    ValueError
        If the number of dimensions is wrong, or the groups do not divide the output channels.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_ fills a convolution's weight, of 3 to 5 dimensions, not one of shape {tensor.shape}")
    outs, ins, *kernel = tensor.shape
    if groups < 1 or outs % groups:
        raise ValueError(f"dirac_: {groups} groups do not divide the {outs} output channels")
    delta = ops.concat([ops.eye(outs // groups, ins, dtype=tensor.dtype, device=tensor.device)] * groups, axis=0)
    for size in kernel:
        middle = ops.arange(size, device=tensor.device) == size // 2
        delta = ops.expand_dims(delta, axis=-1) * ops.astype(middle, tensor.dtype)
    return _fill(tensor, delta)


def orthogonal_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Fill with a random matrix of orthonormal rows or columns. Returns the Variable.

    All such matrices are equally likely.

    Parameters
    ----------
    tensor : Variable, (rows, ...)
        At least two dimensions. All dimensions after the first count as one.
    gain : float
        All numbers are multiplied by it.

    Raises
    ------
    ValueError
        If it has fewer than two dimensions.

    Source: Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", 2013; Mezzadri, "How to generate random matrices from the classical compact groups", 2007.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ fills two dimensions at least, not a Variable of shape {tensor.shape}")
    if not tensor.size:
        return tensor
    rows, columns = tensor.shape[0], tensor.size // tensor.shape[0]
    q, r = linalg.qr(_drawn("normal", tensor, (max(rows, columns), min(rows, columns))))
    q = q * ops.sign(linalg.diagonal(r))
    q = ops.matrix_transpose(q) if rows < columns else q
    return _fill(tensor, ops.reshape(q * gain, tensor.shape).to(tensor.device))


def sparse_(tensor: Variable, sparsity: float, std: float = 0.01) -> Variable:
    """Fill a matrix with normal numbers, and a random part of each column with zeros. Returns the Variable.

    Parameters
    ----------
    tensor : Variable, (rows, columns)
    sparsity : float
        The fraction of zeros in each column, in [0, 1].
    std : float
        The standard deviation of the normal numbers.

    Raises
    ------
    ValueError
        If it does not have two dimensions, or ``sparsity`` is not in [0, 1].

    Source: Martens, "Deep learning via Hessian-free optimization", 2010.
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ fills a matrix, not a Variable of shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity is a fraction between 0 and 1, not {sparsity}")
    values = _drawn("normal", tensor, tensor.shape, std)
    keys = _drawn("uniform", tensor, tensor.shape)
    if tensor.dtype.kind == "c":
        keys = ops.real(keys)
    ranks = ops.argsort(ops.argsort(keys, axis=0), axis=0)
    zeros = ranks < math.ceil(sparsity * tensor.shape[0])
    return _fill(tensor, ops.where(zeros, ops.zeros_like(values), values).to(tensor.device))


def _fans(tensor: Variable) -> tuple[int, int]:
    """The inputs of each output, and the outputs of each input, for a weight of shape ``(out, in, *kernel)``."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need a weight of at least two dimensions, not the shape {tensor.shape}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


_GAINS = {"linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
          "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor of a weight that keeps the variance constant through a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        "linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu" or the name of a convolution, such as "conv2d".
    param : float, optional
        The slope of "leaky_relu". Default: 0.01.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}; known are leaky_relu, {', '.join(_GAINS)}")
    return _GAINS[nonlinearity]


def xavier_uniform_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Fill with uniform numbers that keep the variance constant forward and backward. Returns the Variable.

    Source: Glorot & Bengio, 2010, equation 16.
    """
    fan_in, fan_out = _fans(tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Variable, gain: float = 1.0) -> Variable:
    """Fill with normal numbers that keep the variance constant forward and backward. Returns the Variable.

    Source: Glorot & Bengio, 2010.
    """
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)))


def _kaiming_std(tensor: Variable, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(_fans(tensor)[mode == "fan_out"] or 1)


def kaiming_uniform_(
    tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Variable:
    """Fill with uniform numbers that keep the variance constant through rectifiers. Returns the Variable.

    Source: He et al., 2015, equation 10.

    Parameters
    ----------
    tensor : Variable
        A weight of shape (out, in, ...).
    a : float
        The slope of the rectifier for negative numbers.
    mode : {"fan_in", "fan_out"}
        Whether to keep the variance constant forward or backward.
    nonlinearity : str
        As for `calculate_gain`.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Variable, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Variable:
    """Fill with normal numbers that keep the variance constant through rectifiers. Returns the Variable.

    The parameters are those of `kaiming_uniform_`. Source: He et al., 2015.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))
