"""Normalization: layer norm, batch norm and RMS norm, each with the gradient of all its inputs in one go."""

from __future__ import annotations

from math import prod
from typing import Any


def _last(x: Any, n: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - n, x.ndim))


#: By the bits of a dtype, which sizes are too large to be squared and added up, and the factor for them: powers of two.
_LARGE = {32: (2.0**40, 2.0**-96), 64: (2.0**400, 2.0**-768)}


def _scale(xp: Any, x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """What to multiply rows with so that their squares can be added up: 1, but for rows of huge numbers (and without
    eps, of tiny ones).

    It is found by comparisons alone, and so it is a constant to derivatives.
    """
    if 0 in x.shape:
        return 1.0
    top = xp.max(xp.abs(x), axis=axes, keepdims=True)
    large, shrink = _LARGE[64 if xp.finfo(x.dtype).bits == 64 else 32]
    one = xp.ones_like(top)
    scale = xp.where(top > large, one * shrink, one)
    return scale if eps else xp.where(top < 1 / large, one / shrink, scale)


def _standardized(xp: Any, x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, ...]:
    """``(x - mean) / sqrt(var + eps)``, the mean, the variance of ``x * scale`` and the scale, and ``1 / sqrt(var +
    eps)``; axes are kept.
    """
    count = prod([x.shape[i] for i in axes])
    scale = _scale(xp, x, axes, eps)
    x = x * scale
    mean = xp.sum(x, axis=axes, keepdims=True) / count
    centered = x - mean
    var = xp.sum(centered * centered, axis=axes, keepdims=True) / count
    rstd = 1 / xp.sqrt(var + eps * scale * scale)
    return centered * rstd, mean / scale, var, scale, rstd * scale


def layer_norm(xp: Any, x: Any, weight: Any, bias: Any, n: int, eps: float) -> tuple[Any, Any, Any]:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last ``n`` axes.

    Source: Ba, Kiros & Hinton, "Layer normalization", 2016.

    Parameters
    ----------
    x : (..., d1, ..., dn)
    weight, bias : (d1, ..., dn), or None

    Returns
    -------
    The output, and of shape (..., 1, ..., 1) the mean and the reciprocal of the standard deviation.
    """
    out, mean, _, _, rstd = _standardized(xp, x, _last(x, n), eps)
    out = out if weight is None else out * weight
    return (out if bias is None else out + bias), mean, rstd


def layer_norm_grad(xp: Any, g: Any, x: Any, mean: Any, rstd: Any, weight: Any, n: int) -> tuple[Any, Any, Any]:
    """The gradients of `layer_norm` in ``x``, ``weight`` and ``bias``; without a weight the last two are None.

    With ``h`` the normalized input and ``u = g * weight``: ``rstd * (u - mean(u) - h * mean(u * h))``, ``sum(g * h)``,
    ``sum(g)``.
    """
    axes, lead = _last(x, n), tuple(range(x.ndim - n))
    count = prod([x.shape[i] for i in axes])
    h = (x - mean) * rstd
    u = g if weight is None else g * weight
    of_mean = xp.sum(u, axis=axes, keepdims=True) / count
    of_rstd = xp.sum(u * h, axis=axes, keepdims=True) / count
    dx = rstd * (u - of_mean - h * of_rstd)
    return (dx, None, None) if weight is None else (dx, xp.sum(g * h, axis=lead), xp.sum(g, axis=lead))


def rms_norm(xp: Any, x: Any, weight: Any, n: int, eps: float) -> tuple[Any, Any]:
    """``x / sqrt(mean(x * x) + eps) * weight`` over the last ``n`` axes, and the reciprocal of the root.

    Source: Zhang & Sennrich, "Root mean square layer normalization", 2019.
    """
    axes = _last(x, n)
    scale = _scale(xp, x, axes, eps)
    x = x * scale
    rstd = 1 / xp.sqrt(xp.sum(x * x, axis=axes, keepdims=True) / prod([x.shape[i] for i in axes]) + eps * scale * scale)
    out = x * rstd
    return (out if weight is None else out * weight), rstd * scale


def rms_norm_grad(xp: Any, g: Any, x: Any, rstd: Any, weight: Any, n: int) -> tuple[Any, Any]:
    """The gradients of `rms_norm` in ``x`` and ``weight``: with ``h = x * rstd`` and ``u = g * weight`` they are
    ``rstd * (u - h * mean(u * h))`` and ``sum(g * h)``."""
    axes = _last(x, n)
    h = x * rstd
    u = g if weight is None else g * weight
    dx = rstd * (u - h * (xp.sum(u * h, axis=axes, keepdims=True) / prod([x.shape[i] for i in axes])))
    return dx, None if weight is None else xp.sum(g * h, axis=tuple(range(x.ndim - n)))


def _per_channel(xp: Any, value: Any, ndim: int) -> Any:
    """(channels,) so that it broadcasts with (n, channels, ...)."""
    return xp.reshape(value, (1, value.shape[0], *(1,) * (ndim - 2)))


def batch_norm(xp: Any, x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, ...]:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, of every channel over all but axis 1.

    Source: Ioffe & Szegedy, "Batch normalization", 2015, algorithm 1.

    Parameters
    ----------
    x : (n, channels, ...)
    weight, bias : (channels,), or None

    Returns
    -------
    The output, and of shape (channels,) the mean, the variance (of the sample, divided by the count), and ``1 /
    sqrt(var + eps)``.
    """
    out, mean, var, scale, rstd = _standardized(xp, x, (0, *range(2, x.ndim)), eps)
    var = var / scale / scale
    if weight is not None:
        out = out * _per_channel(xp, weight, x.ndim)
    if bias is not None:
        out = out + _per_channel(xp, bias, x.ndim)
    mean, var, rstd = (xp.reshape(value, (x.shape[1],)) for value in (mean, var, rstd))
    return out, mean, var, rstd


def batch_norm_grad(xp: Any, g: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> tuple[Any, Any, Any]:
    """The gradients of `batch_norm` in ``x``, ``weight`` and ``bias``; without a weight the last two are None.

    With ``h`` the normalized input: ``weight * rstd * (g - mean(g) - h * mean(g * h))``, ``sum(g * h)``, ``sum(g)``.
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
    xp: Any, mean: Any, var: Any, batch_mean: Any, batch_var: Any, share: Any, factor: float
) -> tuple[Any, Any]:
    """The running mean and variance after a batch, of which they take a ``share``; its variance counts times
    ``factor``.

    Each of ``mean`` and ``var`` may be None, and is None in the result then. An override may write into them and return
    them.
    """
    mean = None if mean is None else mean * (1 - share) + batch_mean * share
    return mean, None if var is None else var * (1 - share) + batch_var * factor * share
