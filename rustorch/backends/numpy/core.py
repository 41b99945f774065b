"""NumPy's overrides of the kernels: the same results, fewer passes and temporaries."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy
from numpy import add, exp, maximum, multiply, ndarray, subtract

from .. import scatter
from ..kernels.layers import counted_rows
from ..threads import LEAST, alone, awake, in_blocks, spread

Array = ndarray


def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return x.astype(dtype, copy=copy)


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """numpy.reshape knows ``copy`` since 2.1 only."""
    if copy is None:
        return x.reshape(shape)
    if copy:
        return numpy.array(x, copy=True).reshape(shape)
    view = x.view()
    try:
        view.shape = shape
    except AttributeError as error:
        raise ValueError(
            f"reshape: copy=False, but {x.shape} to {shape} needs a copy: the array is not contiguous"
        ) from error
    return view


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """numpy.broadcast_to goes through an iterator object; a scalar, the usual case in backward, needs none."""
    if type(x) is ndarray and x.ndim == 0:
        out = ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        flags = out.flags
        if flags.writeable:  # one place in memory, many in the array
            flags.writeable = False
        return out
    return numpy.broadcast_to(x, shape)


# -- reductions: numpy.sum and its like spend most of a small call on the way to the ufunc -----------------------------
def sum(x: Array, /, *, axis: Any = None, dtype: Any = None, keepdims: Any = False) -> Array:
    if axis is None:
        if not keepdims and dtype is None and ((of := x.dtype) is _FLOAT32 or of is _FLOAT64):
            out: Any = numpy.empty((), of)
            return add.reduce(x, None, None, out)  # an array, with no scalar on the way
    elif axis == (0,) and x.ndim == 2 and dtype is None and not keepdims and x.dtype in _BLAS:
        return _ones(x.shape[0], x.dtype).dot(x)  # a bias's gradient: BLAS adds rows two to three times as fast
    elif x.size >= 1 << 16 and type(axis) is tuple and dtype is None and not keepdims and _per_channel(x, axis):
        return _channels(x)
    return add.reduce(x, axis, dtype, None, keepdims)  # type: ignore[call-overload]


_FLOAT32: Any = numpy.dtype("float32")
_FLOAT64: Any = numpy.dtype("float64")
_BLAS = {_FLOAT32, _FLOAT64}


@lru_cache(maxsize=64)
def _ones(n: int, dtype: Any) -> Array:
    return numpy.ones(n, dtype)


def _per_channel(x: Array, axis: tuple[int, ...]) -> bool:
    return x.ndim > 2 and axis == (0, *range(2, x.ndim)) and x.dtype in _BLAS and x.flags.c_contiguous


@alone
def _channels(x: Array) -> Array:
    """The gradient of a convolution's bias, in a third of ``add.reduce``'s time."""
    n, channels, size = x.shape[0], x.shape[1], prod(x.shape[2:])
    return _ones(n, x.dtype).dot(x.reshape(n * channels, size).dot(_ones(size, x.dtype)).reshape(n, channels))


def mean(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    total = add.reduce(x, axis=axis, keepdims=keepdims)
    count = x.size if axis is None else prod([x.shape[i] for i in (axis if type(axis) is tuple else (axis,))])
    return total / count if count else total * numpy.nan  # numpy.mean warns of nothing


def max(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    return maximum.reduce(x, axis=axis, keepdims=keepdims)


def min(x: Array, /, *, axis: Any = None, keepdims: Any = False) -> Array:
    return numpy.minimum.reduce(x, axis=axis, keepdims=keepdims)


# -- indexing --------------------------------------------------------------------------------------------------------
def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Of each index, the last row is put in its place; the others, if there are any, are sorted by index and summed in
    runs.
    """
    axis %= len(shape)
    out = numpy.zeros(shape, values.dtype)
    if not values.size:
        return out
    rows = numpy.moveaxis(out, axis, 0)
    values = numpy.moveaxis(values, axis, 0)
    indices = numpy.where(indices < 0, indices + shape[axis], indices)
    counted = numpy.arange(len(indices))
    last = numpy.empty(shape[axis], counted.dtype)
    last[indices] = counted
    rows[indices] = values
    others = numpy.flatnonzero(last[indices] != counted)
    if len(others):
        others = others[numpy.argsort(indices[others], kind="stable")]
        indices = indices[others]
        starts = numpy.flatnonzero(numpy.concatenate(([True], indices[1:] != indices[:-1])))
        rows[indices[starts]] += add.reduceat(values[others], starts, axis=0)
    return out


# -- layers ----------------------------------------------------------------------------------------------------------
def _product(a: Array, b: Array) -> Array:
    """Of two matrices. Between convolutions that run in threads, so does this: BLAS's own threads stay awake for a
    while after their work, and would be in the way of the next convolution.
    """
    (rows, inner), columns = a.shape, b.shape[1]
    if not awake() or rows * inner * columns < LEAST or b.shape[0] != inner:
        return a.dot(b)
    out = numpy.empty((rows, columns), numpy.result_type(a, b))

    def work(start: int, stop: int) -> None:
        if rows >= columns:
            numpy.matmul(a[start:stop], b, out[start:stop])
        else:
            numpy.matmul(a, b[:, start:stop], out[:, start:stop])

    spread(rows if rows >= columns else columns, rows * inner * columns, work, keep_awake=False)
    return out


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    if x.ndim < 2:
        out = x.dot(weight.T)
    elif x.ndim == 2 and 1 < len(x) <= 32 and weight.size >= len(x) << 12 and weight.size * len(x) > 1 << 20:
        # few rows times many numbers: with the weight first, OpenBLAS takes half of the time
        out = numpy.ascontiguousarray(weight.dot(x.T).T)
    else:
        out = matmul(x, weight.T)
    if bias is None:
        return out
    if bias.dtype is not out.dtype or type(out) is not ndarray:
        return out + bias
    return add(out, bias, out)


def linear_grad_weight(g: Array, x: Array) -> Array:
    if g.ndim == 2:
        return _product(g.T, x)
    if g.ndim == 1:
        return numpy.multiply.outer(g, x)
    rows = prod(g.shape[:-1])
    return _product(g.reshape(rows, g.shape[-1]).T, x.reshape(rows, x.shape[-1]))


def matmul(x1: Array, x2: Array, /) -> Array:
    """Of two matrices: ``dot`` is on its way in half of the time. Many matrices times one are one product, of all their
    rows.
    """
    if x2.ndim == 2:
        if x1.ndim == 2:
            return _product(x1, x2)
        if x1.ndim > 2:
            rows = x1.reshape(prod(x1.shape[:-1]), x1.shape[-1])
            return _product(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])
    return numpy.matmul(x1, x2)


#: What a pass over an element costs, in multiplications of a matrix product.
PASS = 16
#: Elements at a time: temporaries stay small. With more calls than that the threads would wait for each other at every
#: one.
BLOCK = 1 << 20
#: Elements of a row of zeros, in the cache next to the processor.
_ROW = 1 << 14


@lru_cache(maxsize=8)
def _zeros(dtype: Any) -> Array:
    return numpy.zeros(_ROW, dtype)


def relu(x: Array) -> Array:
    """With a row of zeros where there is much: ``maximum`` takes two and a half times as long with a scalar."""
    if x.size < 2 * _ROW or x.dtype.kind != "f" or not x.flags.c_contiguous:
        return maximum(x, x.dtype.type(0))
    out, zeros = numpy.empty(x.shape, x.dtype), _zeros(x.dtype)
    values, target, end = x.reshape(-1), out.reshape(-1), x.size // _ROW * _ROW
    maximum(values[:end].reshape(-1, _ROW), zeros, out=target[:end].reshape(-1, _ROW))
    maximum(values[end:], zeros[: x.size - end], out=target[end:])
    return out


BITS: dict[int, Any] = {4: numpy.dtype("int32"), 8: numpy.dtype("int64")}


def kept(x: Array, mask: Array) -> Array:
    """Multiply, and look for products of 0 and infinity or nan only if a sum says that there may be some."""
    with numpy.errstate(invalid="ignore", over="ignore"):
        out = numpy.asarray(x * mask)
        if numpy.isnan(add.reduce(out, axis=None)):
            numpy.copyto(out, 0, where=mask == 0)
    return out


def relu_grad(g: Array, out: Array) -> Array:
    """Masks the bits of ``g``: exact for inf and nan, where a product with 0 is not, and an eighth of where's time."""
    bits = BITS.get(g.itemsize) if g.dtype.kind == "f" else None
    if bits is None or g.size < 4096 or g.shape != out.shape:
        return numpy.where(numpy.less_equal(out, 0), g.dtype.type(0), g)
    masked = numpy.empty(g.shape, g.dtype)
    given, target = g.view(bits), masked.view(bits)
    if g.flags.c_contiguous and out.flags.c_contiguous:
        out, given, target = out.reshape(-1), given.reshape(-1), target.reshape(-1)

    def work(start: int, stop: int) -> None:
        drop = numpy.less_equal(out[start:stop], 0).view(numpy.int8)
        keep = subtract(drop, numpy.int8(1), drop).astype(bits)  # 0 to drop, all ones to keep
        numpy.bitwise_and(given[start:stop], keep, target[start:stop])

    in_blocks(len(out), 2 * PASS * g.size, BLOCK * len(out) // g.size or 1, work)
    return masked


def mse(x: Array, target: Array, divisor: float) -> Array:
    d = subtract(x, target)
    return add.reduce(multiply(d, d), axis=None) / divisor


def _shifted(x: Array, axis: int) -> Array:
    return subtract(x, maximum.reduce(x, axis=axis, keepdims=True))


def softmax(x: Array, axis: int) -> Array:
    if not x.shape[axis]:
        return numpy.zeros_like(x)
    out = _shifted(x, axis)
    exp(out, out)
    out /= add.reduce(out, axis=axis, keepdims=True)
    return out


def log_softmax(x: Array, axis: int) -> Array:
    if not x.shape[axis]:
        return numpy.zeros_like(x)
    out = _shifted(x, axis)
    out -= _log_sum(out, axis, exp(out))
    return out


def _log_sum(shifted: Array, axis: int, terms: Array) -> Array:
    """The logarithm of the sum of ``terms = exp(shifted)``, of which the largest is 1: where the others are small, by
    log1p.
    """
    total = add.reduce(terms, axis=axis, keepdims=True)
    small = numpy.logical_and(total < 1.5, total >= 1)
    if not small.any():
        return numpy.log(total, total)
    numpy.copyto(terms, 0, where=shifted == 0)
    with numpy.errstate(divide="ignore"):  # a row of -inf
        return numpy.where(small, numpy.log1p(add.reduce(terms, axis=axis, keepdims=True)), numpy.log(total))


def logsumexp(x: Array, axis: int) -> Array:
    if not x.shape[axis]:
        return add.reduce(x, axis=axis, keepdims=True) - x.dtype.type(math.inf)
    top = maximum.reduce(x, axis=axis, keepdims=True)
    finite = numpy.isfinite(top)
    if not numpy.logical_and.reduce(finite, None):
        top = numpy.where(finite, top, top.dtype.type(0))
    shifted = subtract(x, top)
    with numpy.errstate(divide="ignore", over="ignore"):  # a row of -inf
        total = _log_sum(shifted, axis, exp(shifted))
    total += top
    return total


#: Up to so many classes, their matrix is kept class by class: a few long loops instead of many short ones.
_FEW = 32


@lru_cache(maxsize=64)
def _steps(n: int, step: int) -> Array:
    return numpy.arange(0, n * step, step) if step else numpy.zeros(n, numpy.int64)


def _places(target: Array, n: int, classes: int) -> Array:
    """Where each row's class lies in the matrix as it is kept: one index is found faster than two."""
    return _steps(classes, n)[target] + _steps(n, 1) if classes <= _FEW else target + _steps(n, classes)


def cross_entropy(x: Array, target: Array, weight: Array | None, ignore: int | None, reduction: str) -> tuple:
    each: Array | None = None
    if target.ndim == 1 and not weight is ignore is None:
        target, each = counted_rows(numpy, target, weight, ignore, x)
    few = x.shape[1] <= _FEW
    by_class = x.T.copy() if few else x
    top = maximum.reduce(by_class, 0 if few else 1)
    if math.isfinite(numpy.vdot(top, top)):
        return _cross_entropy(x, by_class, top, target, each, reduction)
    finite = numpy.isfinite(top)
    if each is not None:  # an ignored row's nan or infinity must not spread
        kept = numpy.logical_or(finite, each != 0)
        x = numpy.where(kept[:, None], x, x.dtype.type(0))
        by_class = x.T.copy() if few else x
    top = numpy.where(finite, top, top.dtype.type(0))
    with numpy.errstate(divide="ignore", invalid="ignore"):  # a row of -inf, or of inf
        return _cross_entropy(x, by_class, top, target, each, reduction)


def _cross_entropy(x: Array, by_class: Array, top: Array, target: Array, each: Array | None, reduction: str) -> tuple:
    n, classes = x.shape
    few = classes <= _FEW
    shifted = subtract(by_class, top, by_class) if few else subtract(x, top[:, None], numpy.empty(x.shape, x.dtype))
    if target.ndim == 2:
        picked, p = _picked(target.T, shifted) if few else _picked(target.T, shifted.T), exp(shifted)
    else:
        picked, p = shifted.reshape(-1)[_places(target, n, classes)], exp(shifted, shifted)
    total = _ones(classes, p.dtype).dot(p) if few else add.reduce(p, 1)
    loss = numpy.log(total)
    if target.ndim == 2:
        loss *= add.reduce(target, 1)
    loss = subtract(loss, picked, loss if loss.dtype is picked.dtype else None)
    if each is not None:
        loss = numpy.where(each != 0, loss, loss.dtype.type(0)) * each
    if reduction == "none":
        return loss, top, (p.T if few else p), total, None
    divisor = 1 if reduction == "sum" else n if each is None else add.reduce(each)
    # so few numbers may be added in any order, and BLAS is there sooner
    summed = loss.dot(_ones(n, loss.dtype)) if n <= 4096 else add.reduce(loss)
    return _over(summed, divisor), top, (p.T if few else p), total, divisor


def _picked(target: Array, shifted: Array) -> Array:
    """``sum(target * shifted)`` over the classes; what is impossible, -inf, and not asked for counts nothing."""
    with numpy.errstate(invalid="ignore"):
        picked = add.reduce(target * shifted, 0)
    if math.isfinite(numpy.vdot(picked, picked)):
        return picked
    impossible = numpy.logical_and(target == 0, numpy.isinf(shifted))
    return add.reduce(target * numpy.where(impossible, shifted.dtype.type(0), shifted), 0)


def _over(total: Any, divisor: Any) -> Any:
    """``total / divisor``, and nan where nothing counts."""
    return total / divisor if divisor else total * math.nan


def cross_entropy_grad(
    g: Array, p: Array, total: Array, target: Array, weight: Array | None, divisor: Any, ignore: int | None
) -> Array:
    n, classes = p.shape
    if divisor is not None:
        g = _over(g, divisor)
    if target.ndim == 1 and not weight is ignore is None:
        target, each = counted_rows(numpy, target, weight, ignore, p)
        g = numpy.where(each == 0, each.dtype.type(0), g * each)
    scale = g / total
    few = classes <= _FEW
    out = numpy.empty((classes, n) if few else p.shape, p.dtype)
    multiply(p.T if few else p, scale if few else scale[:, None], out)
    if target.ndim == 2:
        out = out.T if few else out
        out *= add.reduce(target, axis=1, keepdims=True)
        out -= target * (g[:, None] if g.ndim else g)
        return out
    out.reshape(-1)[_places(target, n, classes)] -= g
    return out.T if few else out


OVERRIDES: dict[str, Callable] = scatter.overrides(numpy, add.at) | {
    function.__name__: function
    for function in (
        *(astype, reshape, broadcast_to, sum, mean, max, min),
        *(index_add,),
        *(matmul, linear, linear_grad_weight, kept, relu, relu_grad, mse),
        *(softmax, log_softmax, logsumexp, cross_entropy, cross_entropy_grad),
    )
}
