"""Layer norm, RMS norm and batch norm as compiled loops: each row or channel is read while it is in the cache.

Where squares of a row or channel overflow (or underflow, without eps), it is computed again from scaled values.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy

from ..kernels.normalization import LARGE
from .kernel import LEAST, flat
from .normalization_channels import COLUMNS, COLUMNS_GRAD, PLANES, PLANES_GRAD
from .normalization_rows import GROUPS, GROUPS_GRAD, ROWS, ROWS_GRAD

if TYPE_CHECKING:
    from ..base import Array

#: Elements that a chunk of rows has at least. Each chunk has sums of its own for the gradients of weight and bias.
_CHUNK = 1 << 13
#: The most chunks, and the least rows of one.
_MOST_CHUNKS, _LEAST_ROWS = 64, 4
#: Elements that a channel of a sample has at least. Each one begins a loop of its own.
_LEAST_SIZE = 8
#: Channels of a block, if a channel has one element in each sample.
_BLOCK = 128


def _limits(dtype: Any, eps: float) -> tuple[float, float, float]:
    """The least mean of squares that is right without scaling, the least large value, and the factor for these."""
    info = numpy.finfo(dtype)
    large, shrink = LARGE[info.bits]
    return 0.0 if eps else float(info.tiny) / float(info.eps) ** 2, large, shrink


def _norm(x: Array, weight: Array | None, bias: Array | None, n: int, eps: float, centers: bool) -> Any:
    """The output, the means (None if rows are not centered), and the reciprocals of the standard deviations."""
    size, dtype = x.size, x.dtype
    launch = ROWS.of(dtype, size)
    if launch is None:
        return NotImplemented
    shape = x.shape
    outer = (*shape[: len(shape) - n], *(1,) * n)
    out, rstd = numpy.empty(shape, dtype), numpy.empty(outer, dtype)
    mean = numpy.empty(outer, dtype) if centers else None
    w, b = None if weight is None else flat(weight), None if bias is None else flat(bias)
    count = prod(shape[len(shape) - n :])
    launch(rstd.size, size, flat(x), w, b, out, mean, rstd, count, eps, *_limits(dtype, eps), w is not None,
           b is not None, centers)  # fmt: skip
    return out, mean, rstd


def _norm_grad(g: Array, x: Array, mean: Array | None, rstd: Array, weight: Array | None, n: int) -> Any:
    """The gradients in x, weight and bias; the last two are None without a weight."""
    size, dtype = x.size, x.dtype
    launch = ROWS_GRAD.of(dtype, size)
    if launch is None:
        return NotImplemented
    count = prod(x.shape[x.ndim - n :])
    rows = size // count
    chunks = max(1, min(_MOST_CHUNKS, size // _CHUNK, rows // _LEAST_ROWS))
    dx, sums = numpy.empty(x.shape, dtype), numpy.empty((chunks, 2, 0 if weight is None else count), dtype)
    w, m = None if weight is None else flat(weight), None if mean is None else flat(mean)
    launch(chunks, 2 * size, flat(g), flat(x), m, flat(rstd), w, dx, sums, count, rows, chunks, w is not None,
           m is not None)  # fmt: skip
    if weight is None:
        return dx, None, None
    dweight, dbias = sums[0] if chunks == 1 else numpy.add.reduce(sums, 0)
    return dx, dweight.reshape(weight.shape), dbias.reshape(weight.shape)


def layer_norm(x: Array, weight: Array | None, bias: Array | None, n: int, eps: float) -> Any:
    return NotImplemented if x.size < LEAST else _norm(x, weight, bias, n, eps, True)


def layer_norm_grad(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, n: int) -> Any:
    return NotImplemented if x.size < LEAST else _norm_grad(g, x, mean, rstd, weight, n)


def rms_norm(x: Array, weight: Array | None, n: int, eps: float) -> Any:
    found = NotImplemented if x.size < LEAST else _norm(x, weight, None, n, eps, False)
    return found if found is NotImplemented else found[::2]


def rms_norm_grad(g: Array, x: Array, rstd: Array, weight: Array | None, n: int) -> Any:
    found = NotImplemented if x.size < LEAST else _norm_grad(g, x, None, rstd, weight, n)
    return found if found is NotImplemented else found[:2]


# -- groups of channels ------------------------------------------------------------------------------------------------
def group_norm(x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float) -> Any:
    total, dtype, shape = x.size, x.dtype, x.shape
    if total < LEAST or total < _LEAST_SIZE * shape[0] * shape[1]:
        return NotImplemented
    launch = GROUPS.of(dtype, total)
    if launch is None:
        return NotImplemented
    rows, width = shape[0] * groups, shape[1] // groups
    out = numpy.empty(shape, dtype)
    mean, rstd = [numpy.empty((rows, 1), dtype) for _ in range(2)]
    w, b = None if weight is None else flat(weight), None if bias is None else flat(bias)
    launch(rows, total, flat(x), w, b, out, mean, rstd, groups, width, total // (rows * width), eps,
           *_limits(dtype, eps), w is not None, b is not None)  # fmt: skip
    return out, mean, rstd


def group_norm_grad(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, groups: int) -> Any:
    total, dtype, shape = x.size, x.dtype, x.shape
    if total < LEAST or total < _LEAST_SIZE * shape[0] * shape[1]:
        return NotImplemented
    launch = GROUPS_GRAD.of(dtype, total)
    if launch is None:
        return NotImplemented
    samples, channels = shape[:2]
    rows, width = samples * groups, channels // groups
    dx = numpy.empty(shape, dtype)
    dots, sums = [numpy.empty((samples, channels), dtype) for _ in range(2)]
    w = None if weight is None else flat(weight)
    launch(rows, 2 * total, flat(g), flat(x), flat(mean), flat(rstd), w, dx, dots, sums, groups, width,
           total // (rows * width), w is not None)  # fmt: skip
    if weight is None:
        return dx, None, None
    return dx, numpy.add.reduce(dots, 0), numpy.add.reduce(sums, 0)


# -- per channel -------------------------------------------------------------------------------------------------------
def _extents(x: Array) -> tuple[int, int, int, int]:
    """Channels, samples, the size of a plane, and the number of items: blocks of channels for planes of one element."""
    channels, samples = x.shape[1], x.shape[0]
    size = x.size // (channels * samples)
    return channels, samples, size, channels if size > 1 else -(-channels // _BLOCK)


def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> Any:
    total, dtype = x.size, x.dtype
    if total < LEAST:
        return NotImplemented
    channels, samples, size, items = _extents(x)
    launch = (COLUMNS if size == 1 else PLANES).of(dtype, total)
    if launch is None:
        return NotImplemented
    out = numpy.empty(x.shape, dtype)
    mean, var, rstd = [numpy.empty(channels, dtype) for _ in range(3)]
    w, b = None if weight is None else flat(weight), None if bias is None else flat(bias)
    numbers = (eps, *_limits(dtype, eps), w is not None, b is not None)
    if size == 1:
        work = numpy.empty((3, channels), dtype)
        launch(items, total, flat(x), w, b, out, mean, var, rstd, work, channels, samples, _BLOCK, *numbers)
    else:
        launch(items, total, flat(x), w, b, out, mean, var, rstd, channels, samples, size, *numbers)
    return out, mean, var, rstd


def batch_norm_grad(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None) -> Any:
    total, dtype = x.size, x.dtype
    if total < LEAST:
        return NotImplemented
    channels, samples, size, items = _extents(x)
    launch = (COLUMNS_GRAD if size == 1 else PLANES_GRAD).of(dtype, total)
    if launch is None:
        return NotImplemented
    dx = numpy.empty(x.shape, dtype)
    dweight, dbias = numpy.empty(channels, dtype), numpy.empty(channels, dtype)
    w = None if weight is None else flat(weight)
    given = (flat(g), flat(x), flat(mean), flat(rstd), w, dx, dweight, dbias)
    if size == 1:
        work = numpy.empty((3, channels), dtype)
        launch(items, 2 * total, *given, work, channels, samples, _BLOCK, w is not None)
    else:
        launch(items, 2 * total, *given, channels, samples, size, w is not None)
    return (dx, None, None) if weight is None else (dx, dweight, dbias)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        layer_norm,
        layer_norm_grad,
        rms_norm,
        rms_norm_grad,
        group_norm,
        group_norm_grad,
        batch_norm,
        batch_norm_grad,
    )
}
