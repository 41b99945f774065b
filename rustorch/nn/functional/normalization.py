"""Normalization of each sample: over its last dimensions, or over groups of channels."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.graph import VARIABLES
from ...ops import network
from .checks import adopt
from .dtype_checks import in_dtype_of, one_dtype

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["group_norm", "layer_norm", "rms_norm"]


def together(
    name: str, input: ArrayLike, *others: ArrayLike | None, words: tuple[str, ...] = ("weight", "bias")
) -> list[Any]:
    """All values as Variables, or None. Raises TypeError unless they have one real floating-point dtype."""
    input = adopt(input, name, others)
    values: list[Any] = [v if v is None or type(v) in VARIABLES else adopt(v, name, (input,)) for v in (input, *others)]
    dtype = values[0].dtype
    if dtype.kind != "f":
        raise TypeError(
            f"{name} is of real floating-point numbers, not of {dtype}; convert them, as in x.astype(rustorch.float32)"
        )
    if any(v is not None and v._native.dtype is not values[0]._native.dtype for v in values):
        one_dtype(name, input=values[0], **dict(zip(words, values[1:], strict=False)))
    return values


def check_channels(name: str, channels: int, **values: Any) -> None:
    """Raise ValueError unless all values have one element for each channel."""
    for what, value in values.items():
        if value is not None and tuple(value.shape) != (channels,):
            raise ValueError(
                f"{name}: the input has {channels} channels, so that the {what} has shape ({channels},), not "
                f"{value.shape}"
            )


def check_eps(name: str, eps: float, training: bool = False) -> None:
    """Raise ValueError for a negative eps; in training also for an eps of 0."""
    if not (eps > 0 if training else eps >= 0):
        raise ValueError(
            f"{name}: eps must be {'positive during training' if training else 'non-negative'}, but got {eps}"
        )


def along_channels(value: Variable, ndim: int) -> Variable:
    """(channels,) in a shape that broadcasts with (n, channels, ...) of ``ndim`` dimensions."""
    return ops.reshape(value, (value.shape[0], *(1,) * (ndim - 2)))


def scale_and_shift(x: Variable, weight: Variable | None, bias: Variable | None) -> Variable:
    """``x * weight + bias`` with a weight and a bias for each channel, if there are any."""
    if weight is not None:
        x = x * along_channels(weight, x.ndim)
    return x if bias is None else x + along_channels(bias, x.ndim)


def _last_sizes(name: str, x: Variable, normalized_shape: Sizes, **parameters: Variable | None) -> int:
    """The number of dimensions in ``normalized_shape``. Raises ValueError unless the input's last sizes are these."""
    sizes = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    n, shape = len(sizes), x._native.shape
    if not n or (prod(sizes) < 1 and tuple(shape[-n:]) != sizes):  # a size of 0 is allowed for an empty input
        raise ValueError(f"{name}: normalized_shape is positive sizes, not {normalized_shape!r}")
    if len(shape) < n or tuple(shape[-n:]) != sizes:
        raise ValueError(
            f"{name}: the input has shape {tuple(shape)}; its last sizes must be normalized_shape, {sizes}"
        )
    for what, value in parameters.items():
        if value is not None and tuple(value._native.shape) != sizes:
            raise ValueError(f"{name}: the {what} has shape {value.shape}; its shape must be normalized_shape, {sizes}")
    return n


def layer_norm(
    input: ArrayLike,
    normalized_shape: Sizes,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Variable:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions.

    Parameters
    ----------
    input : Variable or array, (..., *normalized_shape)
    normalized_shape : int or sequence of int
        The sizes of the last dimensions. Mean and variance are taken over these dimensions.
    weight, bias : Variable or array, normalized_shape, optional
    eps : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit, or eps is negative.

    Source: Ba, Kiros & Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.layer_norm(rustorch.tensor([[1.0, 3.0], [5.0, 9.0]]), 2, eps=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    x, w, b = together("layer_norm", input, weight, bias)
    check_eps("layer_norm", eps)
    n = _last_sizes("layer_norm", x, normalized_shape, weight=w, bias=b)
    if 0 in x.shape:
        scaled: Variable = x if w is None else x * w
        return scaled if b is None else scaled + b
    if w is None and b is not None:
        w = ops.ones_like(b)  # one rule computes the gradients of both
    return network.layer_norm.call(x, w, b, n, float(eps))


def rms_norm(
    input: ArrayLike, normalized_shape: Sizes, weight: ArrayLike | None = None, eps: float | None = None
) -> Variable:
    """``x / sqrt(mean(x * x) + eps) * weight`` over the last dimensions.

    Parameters
    ----------
    input : Variable or array, (..., *normalized_shape)
    normalized_shape : int or sequence of int
    weight : Variable or array, normalized_shape, optional
    eps : float, optional
        Default: the distance from 1 to the next larger number of the dtype.

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit, or eps is negative.

    Source: Zhang & Sennrich, "Root mean square layer normalization", 2019, equation 4.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.rms_norm(rustorch.tensor([1.0, 7.0]), 2, eps=0.0)
    Variable([0.2, 1.4])
    """
    weight = None if weight is None else in_dtype_of(weight, input, "rms_norm")  # as PyTorch has it
    x, w = together("rms_norm", input, weight)
    n = _last_sizes("rms_norm", x, normalized_shape, weight=w)
    eps = ops.finfo(x.dtype).eps if eps is None else eps
    check_eps("rms_norm", eps)
    if 0 in x.shape:
        scaled: Variable = x if w is None else x * w
        return scaled
    return network.rms_norm.call(x, w, n, float(eps))


def group_norm(
    input: ArrayLike, num_groups: int, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-5
) -> Variable:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over each group of channels of each sample.

    Parameters
    ----------
    input : Variable or array, (n, channels, ...)
    num_groups : int
        The number of groups. It must divide the number of channels.
    weight, bias : Variable or array, (channels,), optional
    eps : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit, the groups do not divide the channels, or eps is negative.

    Source: Wu & He, "Group normalization", 2018, equations 1 to 7.
    """
    x, w, b = together("group_norm", input, weight, bias)
    if x.ndim < 2:
        raise ValueError(
            f"group_norm: the input has shape {x.shape}; it needs two dimensions at least, (n, channels, ...)"
        )
    channels = x.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"group_norm: {num_groups} groups do not divide the {channels} channels of an input of shape {x.shape}"
        )
    check_channels("group_norm", channels, weight=w, bias=b)
    check_eps("group_norm", eps)
    if 0 in x.shape:
        return scale_and_shift(x, w, b)
    return normalize_groups(x, w, b, num_groups, eps)


def normalize_groups(x: Variable, weight: Variable | None, bias: Variable | None, groups: int, eps: float) -> Variable:
    """`group_norm` of Variables that were checked."""
    if weight is None and bias is not None:
        weight = ops.ones_like(bias)  # one rule computes the gradients of both
    return network.group_norm.call(x, weight, bias, groups, float(eps))
