"""Normalization: over a batch, a sample, groups of channels, or the last dimensions."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import adopt, common_namespace
from ...autograd.checkpoint import is_repeating
from ...autograd.graph import VARIABLES, Value, make
from ...autograd.modes import no_grad
from ...autograd.writes import writes
from ...ops import network
from .dtype_checks import in_dtype_of, one_dtype

if TYPE_CHECKING:
    from ...typing import Array, ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


def together(name: str, input: ArrayLike, *others: Any, words: tuple[str, ...] = ("weight", "bias")) -> list[Any]:
    """All of them (or None) as Variables; raises TypeError unless they are of one real floating-point dtype."""
    input = adopt(input, name, others)
    values = [v if v is None or type(v) in VARIABLES else adopt(v, name, (input,)) for v in (input, *others)]
    dtype = values[0].dtype
    if dtype.kind != "f":
        raise TypeError(
            f"{name} is of real floating-point numbers, not of {dtype}; convert them, as in x.astype(rustorch.float32)"
        )
    if any(v is not None and v._native.dtype is not values[0]._native.dtype for v in values):
        one_dtype(name, input=values[0], **dict(zip(words, values[1:], strict=False)))
    return values


def _per_channel(name: str, channels: int, **values: Any) -> None:
    for what, value in values.items():
        if value is not None and tuple(value.shape) != (channels,):
            raise ValueError(
                f"{name}: the input has {channels} channels, so that the {what} has shape ({channels},), not "
                f"{value.shape}"
            )


def _check_eps(name: str, eps: float, training: bool = False) -> None:
    """Raise ValueError for an eps with which a root may be of a negative number, or in training of 0."""
    if not (eps > 0 if training else eps >= 0):
        raise ValueError(
            f"{name}: eps must be {'positive during training' if training else 'non-negative'}, but got {eps}"
        )


def _channels(value: Variable, ndim: int) -> Variable:
    """(channels,) so that it broadcasts with (n, channels, ...)."""
    return ops.reshape(value, (value.shape[0], *(1,) * (ndim - 2)))


def _affine(x: Variable, weight: Variable | None, bias: Variable | None) -> Variable:
    if weight is not None:
        x = x * _channels(weight, x.ndim)
    return x if bias is None else x + _channels(bias, x.ndim)


def _fixed(
    x: Variable, mean: Variable, var: Variable, weight: Variable | None, bias: Variable | None, eps: float
) -> Variable:
    """Normalized by moments that are given: one product and one sum with every element."""
    scale = 1 / ops.sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return x * _channels(scale, x.ndim) + _channels(shift if bias is None else shift + bias, x.ndim)


def _check_running(name: str, **values: Any) -> None:
    """What is updated must be reached by the update."""
    for what, value in values.items():
        if value is not None and not isinstance(value, Value):
            raise TypeError(f"{name}: the {what} is updated in place: a Variable, not {type(value).__name__}")


def _update(running: Any, value: Variable, momentum: Any) -> None:
    if running is not None:
        with no_grad():
            running[...] = running * (1 - momentum) + ops.astype(value, running.dtype, copy=False) * momentum


def _update_both(
    running_mean: Variable | None,
    running_var: Variable | None,
    mean: Array,
    var: Array,
    momentum: float | Variable,
    factor: float,
) -> None:
    """Move running statistics towards the moments of a batch; ``factor`` makes its variance the unbiased one."""
    running = [running_mean, running_var]
    share = momentum._native if isinstance(momentum, Value) else float(momentum)
    xp = common_namespace("batch_norm", [make(mean), *[r for r in (*running, momentum) if isinstance(r, Value)]])
    before = [None if r is None else r._native for r in running]
    after = xp.running_moments(*before, mean, var, share, factor)
    for r, old, new in zip(running, before, after, strict=True):
        if new is not None and new is old:
            writes.note_all((new,))
        elif new is not None:
            with no_grad():
                r[...] = make(new)


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Variable:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, of every channel over the batch and all further dimensions.

    Parameters
    ----------
    input : Variable or array, (n, channels) or (n, channels, d1, ...)
    running_mean, running_var : Variable, (channels,), or None
        What evaluation normalizes by. Training normalizes by the batch and updates them in place.
    weight, bias : Variable or array, (channels,), optional
    training : bool
    momentum : float, or Variable of shape ()
        The share of the batch in the updated running statistics; their variance is the unbiased one.
    eps : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit, there is one value per channel in training, no running statistics in evaluation, or eps is
        negative, or in training 0. The running statistics are as they were. (With no values at all, the output is
        empty, and they stay, too.)
    TypeError
        If the input is not of real floating-point numbers.

    Source: Ioffe & Szegedy, "Batch normalization", 2015, algorithms 1 and 2.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[1.0, 5.0], [3.0, 9.0]])
    >>> rustorch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-30).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    x, weight, bias = together("batch_norm", input, weight, bias)
    if x.ndim < 2:
        raise ValueError(
            f"batch_norm: the input has shape {x.shape}; it needs two dimensions at least, (n, channels, ...)"
        )
    shape = x.shape
    _per_channel("batch_norm", shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "batch_norm: without running_mean and running_var there is nothing to evaluate with; pass training=True"
            )
        _check_eps("batch_norm", eps)
        _, mean, var = together("batch_norm", x, running_mean, running_var, words=("running_mean", "running_var"))
        return _fixed(x, mean, var, weight, bias, eps)
    count = shape[0] * prod(shape[2:])
    _check_eps("batch_norm", eps, training=True)
    if count == 1:
        raise ValueError(
            f"batch_norm: training needs more than one value per channel; an input of shape {shape} has {count}"
        )
    _check_running("batch_norm", running_mean=running_mean, running_var=running_var)
    one_dtype("batch_norm", input=x, running_mean=running_mean, running_var=running_var)
    if not count:  # no batch: nothing to normalize, and nothing for the running statistics
        return _affine(x, weight, bias)
    if weight is None and bias is not None:
        weight = ops.ones_like(bias)  # the gradients of both come together
    out, (mean, var, _) = network.batch_norm.with_by_products(x, weight, bias, float(eps))
    if (running_mean is not None or running_var is not None) and not is_repeating():
        _update_both(running_mean, running_var, mean, var, momentum, count / (count - 1))
    return out


def instance_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Variable:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, of every channel of every sample by itself.

    Parameters
    ----------
    input : Variable or array, (n, channels, d1, ...)
    running_mean, running_var : Variable, (channels,), optional
        Updated in place, by the mean over the samples; without ``use_input_stats`` they are what is normalized by.
    weight, bias : Variable or array, (channels,), optional
    use_input_stats : bool
    momentum : float
    eps : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit, there is one value per channel, or eps is negative. The running statistics are as they
        were.

    Source: Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016.
    """
    x, weight, bias = together("instance_norm", input, weight, bias)
    if x.ndim < 3:
        raise ValueError(
            f"instance_norm: the input has shape {x.shape}; it needs three dimensions at least, (n, channels, ...)"
        )
    _check_eps("instance_norm", eps)
    n, channels, *rest = x.shape
    _per_channel(
        "instance_norm", channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("instance_norm: use_input_stats=False needs running_mean and running_var")
        mean, var = (in_dtype_of(r, x, "instance_norm") for r in (running_mean, running_var))  # as PyTorch has it
        return _fixed(x, mean, var, weight, bias, eps)
    count = prod(rest)
    if count == 1:
        raise ValueError(
            f"instance_norm: more than one value per channel is needed; an input of shape {x.shape} has {count}"
        )
    if not n and (running_mean is not None or running_var is not None):
        raise ValueError(
            f"instance_norm: running statistics are means over the samples, but an input of shape {x.shape} has none"
        )
    _check_running("instance_norm", running_mean=running_mean, running_var=running_var)
    if not count:
        return _affine(x, weight, bias)
    flat = ops.reshape(x, (n * channels, count))
    out = _affine(ops.reshape(network.layer_norm.call(flat, None, None, 1, float(eps)), x.shape), weight, bias)
    if is_repeating():
        return out
    with no_grad():
        if running_mean is not None:
            _update(running_mean, ops.mean(ops.reshape(ops.mean(flat, axis=1), (n, channels)), axis=0), momentum)
        if running_var is not None:
            var = ops.var(flat, axis=1, correction=1)
            _update(running_var, ops.mean(ops.reshape(var, (n, channels)), axis=0), momentum)
    return out


def _last_sizes(name: str, x: Variable, normalized_shape: Sizes, **parameters: Any) -> int:
    """How many of the last dimensions are normalized over: those of ``normalized_shape``, which must be the input's."""
    sizes = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    n, shape = len(sizes), x._native.shape
    if not n or (
        prod(sizes) < 1 and tuple(shape[-n:]) != sizes
    ):  # there is no other way to say what an empty input has
        raise ValueError(f"{name}: normalized_shape is positive sizes, not {normalized_shape!r}")
    if len(shape) < n or tuple(shape[-n:]) != sizes:
        raise ValueError(
            f"{name}: the input has shape {tuple(shape)}; with normalized_shape {sizes}, its last sizes are these"
        )
    for what, value in parameters.items():
        if value is not None and tuple(value._native.shape) != sizes:
            raise ValueError(
                f"{name}: the {what} has shape {value.shape}; with normalized_shape {sizes}, it has this shape"
            )
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
        The sizes of the last dimensions, over which mean and variance are taken.
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
    x, weight, bias = together("layer_norm", input, weight, bias)
    _check_eps("layer_norm", eps)
    n = _last_sizes("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    if 0 in x.shape:
        scaled = x if weight is None else x * weight
        return scaled if bias is None else scaled + bias
    if weight is None and bias is not None:
        weight = ops.ones_like(bias)  # the gradients of both come together
    return network.layer_norm.call(x, weight, bias, n, float(eps))


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
        Default: the distance from 1 to the next number of the dtype.

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
    x, weight = together("rms_norm", input, weight)
    n = _last_sizes("rms_norm", x, normalized_shape, weight=weight)
    eps = ops.finfo(x.dtype).eps if eps is None else eps
    _check_eps("rms_norm", eps)
    if 0 in x.shape:
        return x if weight is None else x * weight
    return network.rms_norm.call(x, weight, n, float(eps))


def group_norm(
    input: ArrayLike, num_groups: int, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-5
) -> Variable:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, of every sample over groups of channels and all further
    dimensions.

    Parameters
    ----------
    input : Variable or array, (n, channels, ...)
    num_groups : int
        Divides the channels.
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
    x, weight, bias = together("group_norm", input, weight, bias)
    if x.ndim < 2:
        raise ValueError(
            f"group_norm: the input has shape {x.shape}; it needs two dimensions at least, (n, channels, ...)"
        )
    n, channels, *rest = x.shape
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"group_norm: {num_groups} groups do not divide the {channels} channels of an input of shape {x.shape}"
        )
    _per_channel("group_norm", channels, weight=weight, bias=bias)
    _check_eps("group_norm", eps)
    count = channels // num_groups * prod(rest)
    if 0 in x.shape:
        return _affine(x, weight, bias)
    flat = ops.reshape(x, (n * num_groups, count))
    return _affine(ops.reshape(network.layer_norm.call(flat, None, None, 1, float(eps)), x.shape), weight, bias)
