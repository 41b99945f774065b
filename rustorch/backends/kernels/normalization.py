"""Layer norm, RMS norm, group norm and batch norm, each with one kernel for the gradients of all its inputs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import Array, Namespace


def _last(x: Array, n: int) -> tuple[int, ...]:
    """The last ``n`` axes."""
    return tuple(range(x.ndim - n, x.ndim))


#: Bits of a dtype -> the sizes above this one are too large to be squared and summed, and the factor for them. Both are
#: powers of two.
LARGE = {32: (2.0**40, 2.0**-96), 64: (2.0**400, 2.0**-768)}


def _scale(xp: Namespace, x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """A factor for each row with which its squares can be summed: 1, unless the row has a huge number, or without eps
    only tiny ones.

    It depends on x by comparisons alone, so it is a constant for derivatives.
    """
    if 0 in x.shape:
        return 1.0
    top = xp.max(xp.abs(x), axis=axes, keepdims=True)
    large, shrink = LARGE[64 if xp.finfo(x.dtype).bits == 64 else 32]
    one = xp.ones_like(top)
    scale = xp.where(top > large, one * shrink, one)
    return scale if eps else xp.where(top < 1 / large, one / shrink, scale)


def _standardized(xp: Namespace, x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, ...]:
    """``(x - mean) / sqrt(var + eps)``, the mean, the variance of ``x * scale``, the scale, ``1 / sqrt(var + eps)``.
    The axes are kept.
    """
    count = prod([x.shape[i] for i in axes])
    scale = _scale(xp, x, axes, eps)
    x = x * scale
    mean = xp.sum(x, axis=axes, keepdims=True) / count
    centered = x - mean
    var = xp.sum(centered * centered, axis=axes, keepdims=True) / count
    rstd = 1 / xp.sqrt(var + eps * scale * scale)
    return centered * rstd, mean / scale, var, scale, rstd * scale


def layer_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, n: int, eps: float
) -> tuple[Array, Array, Array]:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last ``n`` axes.

    Source: Ba, Kiros & Hinton, "Layer normalization", 2016.

    Parameters
    ----------
    x : (..., d1, ..., dn)
    weight, bias : (d1, ..., dn), or None

    Returns
    -------
    The output; the mean and the reciprocal of the standard deviation, both (..., 1, ..., 1).
    """
    out, mean, _, _, rstd = _standardized(xp, x, _last(x, n), eps)
    out = out if weight is None else out * weight
    return (out if bias is None else out + bias), mean, rstd


def layer_norm_grad(
    xp: Namespace, g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, n: int
) -> tuple[Array, Array | None, Array | None]:
    """The gradients of `layer_norm` in ``x``, ``weight`` and ``bias``; without a weight the last two are None.

    With ``h`` for the normalized input and ``u = g * weight``, they are ``rstd * (u - mean(u) - h * mean(u * h))``,
    ``sum(g * h)`` and ``sum(g)``.
    """
    axes, lead = _last(x, n), tuple(range(x.ndim - n))
    count = prod([x.shape[i] for i in axes])
    h = (x - mean) * rstd
    u = g if weight is None else g * weight
    mean_of_u = xp.sum(u, axis=axes, keepdims=True) / count
    mean_of_uh = xp.sum(u * h, axis=axes, keepdims=True) / count
    dx = rstd * (u - mean_of_u - h * mean_of_uh)
    return (dx, None, None) if weight is None else (dx, xp.sum(g * h, axis=lead), xp.sum(g, axis=lead))


def rms_norm(xp: Namespace, x: Array, weight: Array | None, n: int, eps: float) -> tuple[Array, Array]:
    """``x / sqrt(mean(x * x) + eps) * weight`` over the last ``n`` axes, and the reciprocal of the root.

    Source: Zhang & Sennrich, "Root mean square layer normalization", 2019.
    """
    axes = _last(x, n)
    scale = _scale(xp, x, axes, eps)
    x = x * scale
    rstd = 1 / xp.sqrt(xp.sum(x * x, axis=axes, keepdims=True) / prod([x.shape[i] for i in axes]) + eps * scale * scale)
    out = x * rstd
    return (out if weight is None else out * weight), rstd * scale


def rms_norm_grad(
    xp: Namespace, g: Array, x: Array, rstd: Array, weight: Array | None, n: int
) -> tuple[Array, Array | None]:
    """The gradients of `rms_norm` in ``x`` and ``weight``: with ``h = x * rstd`` and ``u = g * weight`` they are
    ``rstd * (u - h * mean(u * h))`` and ``sum(g * h)``."""
    axes = _last(x, n)
    h = x * rstd
    u = g if weight is None else g * weight
    dx = rstd * (u - h * (xp.sum(u * h, axis=axes, keepdims=True) / prod([x.shape[i] for i in axes])))
    return dx, None if weight is None else xp.sum(g * h, axis=tuple(range(x.ndim - n)))


def _groups(xp: Namespace, x: Array, groups: int) -> Array:
    """A row for each group of channels of each sample."""
    return xp.reshape(x, (x.shape[0] * groups, prod(x.shape[1:]) // groups))


def _per_channel(xp: Namespace, value: Array, ndim: int) -> Array:
    """An array (channels,), in a shape that broadcasts with (n, channels, ...)."""
    return xp.reshape(value, (1, value.shape[0], *(1,) * (ndim - 2)))


def group_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """``(x - mean) / sqrt(var + eps) * weight + bias``: mean and variance are over a group of channels of a sample.

    Source: Wu & He, "Group normalization", 2018.

    Parameters
    ----------
    x : (n, channels, ...)
    weight, bias : (channels,), or None
    groups : int
        It divides the number of channels.

    Returns
    -------
    The output; the mean and the reciprocal of the standard deviation, both (n * groups, 1).
    """
    out, mean, rstd = xp.layer_norm(_groups(xp, x, groups), None, None, 1, eps)
    out = xp.reshape(out, x.shape)
    if weight is not None:
        out = out * _per_channel(xp, weight, x.ndim)
    return (out if bias is None else out + _per_channel(xp, bias, x.ndim)), mean, rstd


def group_norm_grad(
    xp: Namespace, g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, groups: int
) -> tuple[Array, Array | None, Array | None]:
    """The gradients of `group_norm` in ``x``, ``weight`` and ``bias``; without a weight the last two are None.

    They are those of `layer_norm` of each group, with ``g * weight`` for its gradient, and ``sum(g * h)`` and
    ``sum(g)`` with ``h`` for the normalized input.
    """
    u = g if weight is None else g * _per_channel(xp, weight, x.ndim)
    rows, axes = _groups(xp, x, groups), (0, *range(2, x.ndim))
    dx, _, _ = xp.layer_norm_grad(_groups(xp, u, groups), rows, mean, rstd, None, 1)
    dx = xp.reshape(dx, x.shape)
    if weight is None:
        return dx, None, None
    h = xp.reshape((rows - mean) * rstd, x.shape)
    return dx, xp.sum(g * h, axis=axes), xp.sum(g, axis=axes)


def batch_norm(xp: Namespace, x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, ...]:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` for each channel: mean and variance are over all axes but 1.

    Source: Ioffe & Szegedy, "Batch normalization", 2015, algorithm 1.

    Parameters
    ----------
    x : (n, channels, ...)
    weight, bias : (channels,), or None

    Returns
    -------
    The output; the mean, the variance (divided by the count), and ``1 / sqrt(var + eps)``, each (channels,).
    """
    out, mean, var, scale, rstd = _standardized(xp, x, (0, *range(2, x.ndim)), eps)
    var = var / scale / scale
    if weight is not None:
        out = out * _per_channel(xp, weight, x.ndim)
    if bias is not None:
        out = out + _per_channel(xp, bias, x.ndim)
    mean, var, rstd = (xp.reshape(value, (x.shape[1],)) for value in (mean, var, rstd))
    return out, mean, var, rstd


def batch_norm_grad(
    xp: Namespace, g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array | None, Array | None]:
    """The gradients of `batch_norm` in ``x``, ``weight`` and ``bias``; without a weight the last two are None.

    With ``h`` for the normalized input, they are ``weight * rstd * (g - mean(g) - h * mean(g * h))``, ``sum(g * h)``
    and ``sum(g)``.
    """
    axes = (0, *range(2, x.ndim))
    count = prod([x.shape[i] for i in axes])
    scale = _per_channel(xp, rstd, x.ndim)
    h = (x - _per_channel(xp, mean, x.ndim)) * scale
    dbias, dweight = xp.sum(g, axis=axes), xp.sum(g * h, axis=axes)
    rest = g - _per_channel(xp, dbias / count, x.ndim) - h * _per_channel(xp, dweight / count, x.ndim)
    if weight is None:
        return scale * rest, None, None
    return scale * _per_channel(xp, weight, x.ndim) * rest, dweight, dbias


def running_moments(
    xp: Namespace, mean: Array | None, var: Array | None, batch_mean: Array, batch_var: Array, share: Any, factor: float
) -> tuple[Array | None, Array | None]:
    """The running mean and variance, moved by a ``share`` of the way to those of a batch. The batch's variance is
    multiplied by ``factor`` first.

    ``mean`` and ``var`` may be None, and the same result is None then. An override may write into them and return them.
    """
    mean = None if mean is None else mean * (1 - share) + batch_mean * share
    return mean, None if var is None else var * (1 - share) + batch_var * factor * share
