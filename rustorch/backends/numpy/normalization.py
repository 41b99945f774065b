"""NumPy's normalization: BLAS computes sums as products with ones, and there are one or two temporaries of x's size.

All arrays of a call have the same dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, einsum, multiply, subtract

from ..kernels import normalization as plain
from ..threads import BLOCK, PASS, in_blocks, with_one_blas_thread
from .constants import cached_ones
from .namespace import NUMPY, full_namespace

if TYPE_CHECKING:
    from ..base import Array


def _safe(squares: Array, eps: float) -> bool:
    """Whether no mean of squares overflowed or, without eps, underflowed. If one did, the plain version is needed: it
    scales the input.
    """
    least = 0.0 if eps else float(numpy.finfo(squares.dtype).tiny) / float(numpy.finfo(squares.dtype).eps) ** 2
    return not squares.size or bool(squares.max() < numpy.inf and squares.min() >= least)


def _rows(x: Array, n: int) -> Array:
    """``x`` with its last ``n`` axes as one axis, and the others as another."""
    return x.reshape(prod(x.shape[: x.ndim - n]), prod(x.shape[x.ndim - n :]))


@with_one_blas_thread
def layer_norm(x: Array, weight: Array | None, bias: Array | None, n: int, eps: float) -> tuple[Array, Array, Array]:
    rows = _rows(x, n)
    count = rows.shape[1]
    with numpy.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean = (rows @ cached_ones(count, rows.dtype))[:, None]
        mean /= count
        out = subtract(rows, mean)
        rstd = einsum("ij,ij->i", out, out)[:, None]
        rstd /= count
    if not _safe(rstd, eps):
        with numpy.errstate(over="ignore"):  # the variance may be too large for its dtype
            return plain.layer_norm(full_namespace(), x, weight, bias, n, eps)
    rstd += eps
    numpy.sqrt(rstd, rstd)
    numpy.reciprocal(rstd, rstd)
    out *= rstd
    if weight is not None:
        multiply(out, weight.reshape(count), out)
    if bias is not None:
        add(out, bias.reshape(count), out)
    shape = x.shape[: x.ndim - n] + (1,) * n
    return out.reshape(x.shape), mean.reshape(shape), rstd.reshape(shape)


@with_one_blas_thread
def layer_norm_grad(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, n: int
) -> tuple[Array, Array | None, Array | None]:
    rows, gs, rstd = _rows(x, n), _rows(g, n), rstd.reshape(-1, 1)
    lead, count = rows.shape
    h = subtract(rows, mean.reshape(-1, 1))
    h *= rstd
    t = multiply(gs, h)
    flat = cached_ones(count, t.dtype) if weight is None else weight.reshape(count)
    of_rstd, of_mean = (t @ flat)[:, None], (gs @ flat)[:, None]
    dweight = dbias = None
    if weight is not None:
        ones = cached_ones(lead, t.dtype)
        dweight, dbias = (ones @ t).reshape(weight.shape), (ones @ gs).reshape(weight.shape)
    of_rstd /= count
    of_mean /= count
    h *= of_rstd
    h += of_mean
    if weight is None:
        subtract(gs, h, t)
    else:
        multiply(gs, flat, t)
        t -= h
    t *= rstd
    return t.reshape(x.shape), dweight, dbias


@with_one_blas_thread
def rms_norm(x: Array, weight: Array | None, n: int, eps: float) -> tuple[Array, Array]:
    rows = _rows(x, n)
    with numpy.errstate(over="ignore", under="ignore"):
        rstd = einsum("ij,ij->i", rows, rows)[:, None]
        rstd /= rows.shape[1]
    if not _safe(rstd, eps):
        with numpy.errstate(over="ignore"):  # the variance may be too large for its dtype
            return plain.rms_norm(full_namespace(), x, weight, n, eps)
    rstd += eps
    numpy.sqrt(rstd, rstd)
    numpy.reciprocal(rstd, rstd)
    out = multiply(rows, rstd)
    if weight is not None:
        multiply(out, weight.reshape(-1), out)
    return out.reshape(x.shape), rstd.reshape(x.shape[: x.ndim - n] + (1,) * n)


@with_one_blas_thread
def rms_norm_grad(g: Array, x: Array, rstd: Array, weight: Array | None, n: int) -> tuple[Array, Array | None]:
    rows, gs, rstd = _rows(x, n), _rows(g, n), rstd.reshape(-1, 1)
    lead, count = rows.shape
    h = multiply(rows, rstd)
    t = multiply(gs, h)
    flat = cached_ones(count, t.dtype) if weight is None else weight.reshape(count)
    of_rstd = (t @ flat)[:, None]
    of_rstd /= count
    dweight = None if weight is None else (cached_ones(lead, t.dtype) @ t).reshape(weight.shape)
    h *= of_rstd
    multiply(gs, flat, t)
    t -= h
    t *= rstd
    return t.reshape(x.shape), dweight


# -- groups of channels ------------------------------------------------------------------------------------------------
@with_one_blas_thread
def group_norm_grad(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, groups: int
) -> tuple[Array, Array | None, Array | None]:
    samples, channels = x.shape[:2]
    size = prod(x.shape[2:])
    rows = (samples * groups, channels // groups * size)
    t = subtract(x.reshape(rows), mean)
    t *= rstd
    planes, gs = t.reshape(samples, channels, size), g.reshape(samples, channels, size)
    dots, sums = numpy.vecdot(gs, planes), gs @ cached_ones(size, t.dtype)
    scaled = (dots, sums) if weight is None else (dots * weight, sums * weight)
    of_rstd, of_mean = [add.reduce(a.reshape(rows[0], channels // groups), 1, keepdims=True) for a in scaled]
    t *= of_rstd / rows[1]
    t += of_mean / rows[1]
    subtract(gs if weight is None else gs * weight[:, None], planes, planes)
    t *= rstd
    if weight is None:
        return t.reshape(x.shape), None, None
    ones = cached_ones(samples, t.dtype)
    return t.reshape(x.shape), ones @ dots, ones @ sums


# -- per channel -------------------------------------------------------------------------------------------------------
def _planes(x: Array) -> Array:
    """``x`` as (n, channels, size), or as (n, channels) if it has no other axes."""
    return x if x.ndim == 2 else x.reshape(x.shape[0], x.shape[1], prod(x.shape[2:]))


def _sum(x: Array) -> Array:
    """The sum of each channel, (channels,)."""
    if x.ndim == 3:
        x = x @ cached_ones(x.shape[2], x.dtype)
    return cached_ones(x.shape[0], x.dtype) @ x


def _dot(x: Array, y: Array) -> Array:
    """The sum of each channel of ``x * y``, (channels,)."""
    if x.ndim == 2:
        return einsum("nc,nc->c", x, y)
    return cached_ones(x.shape[0], x.dtype) @ numpy.vecdot(x, y)


def _along(value: Array, x: Array) -> Array:
    """An array (channels,), in a shape that broadcasts with ``x``."""
    return value[:, None] if x.ndim == 3 else value


def _at_once(count: int) -> int:
    """How many channels of ``count`` elements make a block."""
    return max(BLOCK // max(count, 1), 1)


@with_one_blas_thread
def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array, Array]:
    planes, channels = _planes(x), x.shape[1]
    count = x.size // channels if channels else 1
    out = numpy.empty(planes.shape, x.dtype)
    mean, var, rstd = [numpy.empty(channels, x.dtype) for _ in range(3)]

    def work(start: int, stop: int) -> None:
        some = slice(start, stop)
        values, target, m, v, r = planes[:, some], out[:, some], mean[some], var[some], rstd[some]
        with numpy.errstate(over="ignore", under="ignore", invalid="ignore"):
            numpy.divide(_sum(values), count, m)
            subtract(values, _along(m, values), target)
            numpy.divide(_dot(target, target), count, v)
        if not _safe(v, eps):
            return
        numpy.reciprocal(numpy.sqrt(v + v.dtype.type(eps)), r)
        multiply(target, _along(r if weight is None else r * weight[some], values), target)
        if bias is not None:
            add(target, _along(bias[some], values), target)

    in_blocks(channels, 5 * PASS * x.size, _at_once(count), work)
    if not _safe(var, eps):
        with numpy.errstate(over="ignore"):  # the variance may be too large for its dtype
            return plain.batch_norm(full_namespace(), x, weight, bias, eps)
    return out.reshape(x.shape), mean, var, rstd


@with_one_blas_thread
def batch_norm_grad(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array | None, Array | None]:
    planes, gs, channels = _planes(x), _planes(g), x.shape[1]
    count = x.size // channels if channels else 1
    t = numpy.empty(planes.shape, x.dtype)
    dweight, dbias = numpy.empty(channels, x.dtype), numpy.empty(channels, x.dtype)

    def work(start: int, stop: int) -> None:
        some = slice(start, stop)
        values, given, target, r = planes[:, some], gs[:, some], t[:, some], rstd[some]
        subtract(values, _along(mean[some], values), target)
        dbias[some] = _sum(given)
        numpy.multiply(_dot(given, target), r, dweight[some])
        target *= _along(dweight[some] * r / count, values)
        target += _along(dbias[some] / count, values)
        subtract(given, target, target)
        multiply(target, _along(r if weight is None else r * weight[some], values), target)

    in_blocks(channels, 7 * PASS * x.size, _at_once(count), work)
    return t.reshape(x.shape), None if weight is None else dweight, None if weight is None else dbias


def running_moments(
    mean: Array | None, var: Array | None, batch_mean: Array, batch_var: Array, share: Any, factor: float
) -> tuple[Array | None, Array | None]:
    """Update the running mean and variance in place."""
    if type(share) is not float or any(a is not None and not a.flags.writeable for a in (mean, var)):
        return plain.running_moments(NUMPY, mean, var, batch_mean, batch_var, share, factor)
    if mean is not None:
        multiply(mean, 1 - share, mean)
        add(mean, batch_mean * share, mean)
    if var is not None:
        multiply(var, 1 - share, var)
        add(var, batch_var * factor * share, var)
    return mean, var


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        layer_norm,
        layer_norm_grad,
        rms_norm,
        rms_norm_grad,
        group_norm_grad,
        batch_norm,
        batch_norm_grad,
        running_moments,
    )
}
