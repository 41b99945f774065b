"""Batch and instance normalization, with running statistics."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import common_namespace
from ...autograd.checkpoint import is_repeating
from ...autograd.graph import Value, make
from ...autograd.modes import no_grad
from ...autograd.writes import writes
from ...ops import network
from .dtype_checks import in_dtype_of, one_dtype
from .normalization import along_channels, check_channels, check_eps, normalize_groups, scale_and_shift, together

if TYPE_CHECKING:
    from ...typing import Array, ArrayLike
    from ...variable import Variable

__all__ = ["batch_norm", "instance_norm"]


def _normalized_by(
    x: Variable, mean: Variable, var: Variable, weight: Variable | None, bias: Variable | None, eps: float
) -> Variable:
    """``x`` normalized by given moments: one product and one sum for each element."""
    scale = 1 / ops.sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return x * along_channels(scale, x.ndim) + along_channels(shift if bias is None else shift + bias, x.ndim)


def running_variables(name: str, running_mean: Any, running_var: Any) -> tuple[Variable | None, Variable | None]:
    """Both running statistics. Raises TypeError unless they are Variables, because they are updated in place."""
    for what, value in (("running_mean", running_mean), ("running_var", running_var)):
        if value is not None and not isinstance(value, Value):
            raise TypeError(f"{name}: the {what} is updated in place: a Variable, not {type(value).__name__}")
    return running_mean, running_var


def _update(running: Variable, value: Variable, momentum: float) -> None:
    """Move running statistics of instance normalization towards a new value, in place."""
    with no_grad():
        running[...] = running * (1 - momentum) + ops.astype(value, running.dtype, copy=False) * momentum


def update_running(
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
        elif r is not None and new is not None:
            with no_grad():
                r[...] = make(new)


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float | Variable = 0.1,
    eps: float = 1e-5,
) -> Variable:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, for each channel over the batch and all further dimensions.

    Parameters
    ----------
    input : Variable or array, (n, channels) or (n, channels, d1, ...)
    running_mean, running_var : Variable, (channels,), or None
        Evaluation normalizes by these statistics. Training normalizes by those of the batch, and updates the running
        statistics in place.
    weight, bias : Variable or array, (channels,), optional
    training : bool
    momentum : float, or Variable of shape ()
        The share of the batch in the updated running statistics. They use the unbiased variance.
    eps : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit; eps is negative, or 0 in training; a channel has only one value in training; or evaluation
        has no running statistics. The running statistics do not change then. (An empty batch does not change them
        either: its output is empty.)
    TypeError
        If the input has no real floating-point dtype.

    Source: Ioffe & Szegedy, "Batch normalization", 2015, algorithms 1 and 2.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[1.0, 5.0], [3.0, 9.0]])
    >>> rustorch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-30).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    x, w, b = together("batch_norm", input, weight, bias)
    if x.ndim < 2:
        raise ValueError(
            f"batch_norm: the input has shape {x.shape}; it needs two dimensions at least, (n, channels, ...)"
        )
    shape = x.shape
    check_channels("batch_norm", shape[1], running_mean=running_mean, running_var=running_var, weight=w, bias=b)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                "batch_norm: without running_mean and running_var there is nothing to evaluate with; pass training=True"
            )
        check_eps("batch_norm", eps)
        _, mean, var = together("batch_norm", x, running_mean, running_var, words=("running_mean", "running_var"))
        return _normalized_by(x, mean, var, w, b, eps)
    count = shape[0] * prod(shape[2:])
    check_eps("batch_norm", eps, training=True)
    if count == 1:
        raise ValueError(
            f"batch_norm: training needs more than one value per channel; an input of shape {shape} has {count}"
        )
    updated_mean, updated_var = running_variables("batch_norm", running_mean, running_var)
    one_dtype("batch_norm", input=x, running_mean=updated_mean, running_var=updated_var)
    if not count:  # an empty batch has no moments
        return scale_and_shift(x, w, b)
    if w is None and b is not None:
        w = ops.ones_like(b)  # one rule computes the gradients of both
    out, (mean, var, _) = network.batch_norm.with_by_products(x, w, b, float(eps))
    if (updated_mean is not None or updated_var is not None) and not is_repeating():
        update_running(updated_mean, updated_var, mean, var, momentum, count / (count - 1))
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
    """``(x - mean) / sqrt(var + eps) * weight + bias``, for each channel of each sample.

    Parameters
    ----------
    input : Variable or array, (n, channels, d1, ...)
    running_mean, running_var : Variable, (channels,), optional
        Updated in place by the means over the samples. Without ``use_input_stats``, normalize by them instead.
    weight, bias : Variable or array, (channels,), optional
    use_input_stats : bool
        Whether to normalize by the statistics of the input.
    momentum : float
        The share of the input in the updated running statistics.
    eps : float

    Returns
    -------
    Variable, of the input's shape

    Raises
    ------
    ValueError
        If shapes do not fit, a channel has only one value, or eps is negative. The running statistics do not change
        then.

    Source: Ulyanov, Vedaldi & Lempitsky, "Instance normalization", 2016.
    """
    x, w, b = together("instance_norm", input, weight, bias)
    if x.ndim < 3:
        raise ValueError(
            f"instance_norm: the input has shape {x.shape}; it needs three dimensions at least, (n, channels, ...)"
        )
    check_eps("instance_norm", eps)
    n, channels, *rest = x.shape
    check_channels("instance_norm", channels, running_mean=running_mean, running_var=running_var, weight=w, bias=b)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("instance_norm: use_input_stats=False needs running_mean and running_var")
        mean, var = (in_dtype_of(r, x, "instance_norm") for r in (running_mean, running_var))  # as PyTorch has it
        return _normalized_by(x, mean, var, w, b, eps)
    count = prod(rest)
    if count == 1:
        raise ValueError(
            f"instance_norm: more than one value per channel is needed; an input of shape {x.shape} has {count}"
        )
    if not n and (running_mean is not None or running_var is not None):
        raise ValueError(
            f"instance_norm: running statistics are means over the samples, but an input of shape {x.shape} has none"
        )
    updated_mean, updated_var = running_variables("instance_norm", running_mean, running_var)
    if not count:
        return scale_and_shift(x, w, b)
    out = normalize_groups(x, w, b, channels, eps)
    if is_repeating() or (updated_mean is None and updated_var is None):
        return out
    with no_grad():
        flat = ops.reshape(x, (n * channels, count))
        if updated_mean is not None:
            _update(updated_mean, ops.mean(ops.reshape(ops.mean(flat, axis=1), (n, channels)), axis=0), momentum)
        if updated_var is not None:
            var = ops.var(flat, axis=1, correction=1)
            _update(updated_var, ops.mean(ops.reshape(var, (n, channels)), axis=0), momentum)
    return out
