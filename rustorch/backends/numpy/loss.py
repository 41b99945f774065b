"""NumPy's losses: fewer passes and temporaries."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy
from numpy import add, exp, maximum, multiply, ndarray, subtract

from ..kernels.loss import counted_rows
from .constants import cached_ones

Array = ndarray


def quotient(total: Array, count: Array) -> Any:
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return numpy.divide(total, count)


def mse(x: Array, target: Array, divisor: float) -> Array:
    d = subtract(x, target)
    return add.reduce(multiply(d, d), axis=None) / divisor


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
    total = cached_ones(classes, p.dtype).dot(p) if few else add.reduce(p, 1)
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
    summed = loss.dot(cached_ones(n, loss.dtype)) if n <= 4096 else add.reduce(loss)
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


OVERRIDES: dict[str, Callable] = {
    function.__name__: function for function in (cross_entropy, cross_entropy_grad, mse, quotient)
}
