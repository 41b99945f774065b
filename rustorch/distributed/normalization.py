"""Batch normalization by the moments of the batches of all ranks, as a primitive with gradients of every order.

The kernels of batch norm compute the moments and the sums of this rank's batch, and what they would be for it alone.
From there to the results for all batches it is one product and one sum for each element.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from ..autograd.graph import make
from ..autograd.primitive import Primitive
from ..backends import Array, of
from .mirrored import of_all_ranks, sum_over_ranks

if TYPE_CHECKING:
    from ..variable import Variable
    from .group import ProcessGroup

__all__ = ["batch_norm"]


def _along(xp: Any, value: Array, ndim: int) -> Array:
    """(channels,) in a shape that broadcasts with (n, channels, ...)."""
    return xp.reshape(value, (1, value.shape[0], *(1,) * (ndim - 2)))


def _moments(xp: Any, mean: Array, var: Array, rstd: Array, n: int, group: ProcessGroup) -> tuple[Array, ...]:
    """Mean, variance, ``1 / sqrt(var + eps)`` and the number of values of all batches, from those of this rank's.

    Every rank computes the same numbers from the same numbers, so that they are equal to the last bit.
    """
    channels = mean.shape[0]
    found = of_all_ranks(xp.concat([mean, var, rstd, xp.full_like(mean[:1], float(n))]), group)
    means, variances, rstds = [found[:, i * channels : (i + 1) * channels] for i in range(3)]
    counts = found[:, 3 * channels :]
    total = xp.sum(counts)
    shares = counts / xp.where(total > 0, total, xp.ones_like(total))
    mean = xp.sum(shares * means, axis=0)
    offsets = means - mean
    # Squares of huge values overflow. The variance, which goes into running statistics alone, stops at the largest
    # number; for the other result, squares of quotients are summed.
    most = float(xp.finfo(mean.dtype).max) ** 0.5 / 2
    near = xp.clip(offsets, -most, most)
    var = xp.sum(shares * (variances + near * near), axis=0)
    deviations = 1 / rstds
    top = xp.max(xp.maximum(deviations, xp.abs(offsets)), axis=0)
    a, b = deviations / top, offsets / top
    squares = xp.sum(shares * (a * a + b * b), axis=0)
    rstd = 1 / (top * xp.sqrt(xp.where(total > 0, squares, xp.ones_like(squares))))
    return mean, var, rstd, total


def _forward(
    xp: Any, x: Array, weight: Array | None, bias: Array | None, /, eps: float, group: ProcessGroup
) -> tuple[Array, ...]:
    """The output, and the mean, the variance, ``1 / sqrt(var + eps)`` and the number of values of all batches."""
    n = x.shape[0] * prod(x.shape[2:])
    if n:
        normalized, own_mean, own_var, own_rstd = xp.batch_norm(x, None, None, eps)
    else:
        normalized, own_mean = x, xp.sum(x, axis=(0, *range(2, x.ndim)))
        own_var, own_rstd = own_mean, own_mean + 1
    mean, var, rstd, total = _moments(xp, own_mean, own_var, own_rstd, n, group)
    scale, shift = rstd / own_rstd, (own_mean - mean) * rstd
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    if bias is not None:
        shift = shift + bias
    return normalized * _along(xp, scale, x.ndim) + _along(xp, shift, x.ndim), mean, var, rstd, total


def _gradients(
    xp: Any, g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, total: Array, group: ProcessGroup
) -> tuple[Array, Array | None, Array | None]:
    """The gradients in ``x``, ``weight`` and ``bias``. The last two are those of this rank's batch.

    With ``h`` for the normalized input and the sums over all ranks, that in ``x`` is
    ``weight * rstd * (g - sum(g) / total - h * sum(g * h) / total)``.
    """
    n = x.shape[0] * prod(x.shape[2:])
    factor = xp.ones_like(mean) if weight is None else weight
    if n:
        dx, dweight, dbias = xp.batch_norm_grad(g, x, mean, rstd, factor)
    else:
        dx, dbias = g, xp.sum(g, axis=(0, *range(2, x.ndim)))
        dweight = dbias + 0.0
    channels = mean.shape[0]
    own = xp.concat([dbias, dweight])
    correction = own / max(n, 1) - sum_over_ranks(own, group) / xp.where(total > 0, total, xp.ones_like(total))
    scale = factor * rstd
    centered = x - _along(xp, mean, x.ndim)
    change = centered * _along(xp, rstd * correction[channels:], x.ndim) + _along(xp, correction[:channels], x.ndim)
    dx = dx + change * _along(xp, scale, x.ndim)
    return (dx, None, None) if weight is None else (dx, dweight, dbias)


_BATCH_NORM = Primitive(
    "sync_batch_norm", _forward, joint=_gradients, aux=("mean", "var", "rstd", "total"), register=False
)
_BATCH_NORM.builtin = True  # the joint rule returns new arrays


def batch_norm(
    x: Variable, weight: Variable | None, bias: Variable | None, eps: float, group: ProcessGroup
) -> tuple[Variable, tuple[Array, Array], bool | Variable]:
    """Normalize each channel by its mean and variance over the batches of all ranks.

    Parameters
    ----------
    x : Variable, (n, channels, ...)
        This rank's batch, which may be empty.
    weight, bias : Variable, (channels,), or None
        There is no bias without a weight.
    eps : float
    group : ProcessGroup

    Returns
    -------
    Variable, (n, channels, ...)
    tuple of two arrays, (channels,)
        The mean and the unbiased variance.
    bool, or Variable of shape ()
        Whether there was any value. A number, 1 or 0, where the host would have to wait for the answer.

    Raises
    ------
    ValueError
        If all ranks together have one value per channel, where the host knows it without waiting. Every rank raises it.
    """
    out: Variable
    out, (mean, var, _, total) = _BATCH_NORM.with_by_products(x, weight, bias, eps, group)
    backend = of(total)
    assert backend is not None
    if backend.readable:
        count = int(total)
        if count == 1:
            raise ValueError(
                f"SyncBatchNorm: training needs more than one value per channel; the batches of all {group.size} ranks "
                f"together have 1"
            )
        return out, (mean, var * (count / (count - 1))) if count else (mean, var), bool(count)
    xp = backend.xp
    with backend.guard(total):
        one = xp.ones_like(total)
        unbiased = var * (total / xp.where(total > 1, total - 1, one))
        return out, (mean, unbiased), make(xp.where(total > 0, one, 0 * one))
