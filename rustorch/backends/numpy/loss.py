"""NumPy's losses: the same results with fewer passes and temporaries."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, exp, maximum, multiply, ndarray, subtract

from ..kernels.loss import row_weights
from .constants import cached_ones
from .namespace import NUMPY

if TYPE_CHECKING:
    from ..base import Array


def quotient(total: Array, count: Array) -> Array:
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return numpy.divide(total, count)


def mse(x: Array, target: Array, divisor: float) -> Array:
    difference = subtract(x, target)
    return add.reduce(multiply(difference, difference), axis=None) / divisor


#: The largest number of classes for which the matrix is stored class by class: a few long loops instead of many short
#: ones.
FEW = 32


@lru_cache(maxsize=64)
def _multiples(n: int, step: int) -> Array:
    """The first ``n`` multiples of ``step``."""
    return numpy.arange(0, n * step, step) if step else numpy.zeros(n, numpy.int64)


def _places(target: Array, n: int, classes: int) -> Array:
    """The position of each row's class in the flattened matrix. One index is faster than two."""
    return _multiples(classes, n)[target] + _multiples(n, 1) if classes <= FEW else target + _multiples(n, classes)


def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore: int | None, reduction: str
) -> tuple[Array, Array, Array, Array, Any]:
    """As the plain version. A matrix of few classes is stored class by class."""
    each: Array | None = None
    if target.ndim == 1 and not (weight is None and ignore is None):
        target, each = row_weights(NUMPY, target, weight, ignore, x)
    few = x.shape[1] <= FEW
    by_class = x.T.copy() if few else x
    top = maximum.reduce(by_class, 0 if few else 1)
    if math.isfinite(top.dot(top)):
        return _cross_entropy(x, by_class, top, target, each, reduction)
    finite = numpy.isfinite(top)
    if each is not None:  # nan or infinity in an ignored row must not spread
        used = numpy.logical_or(finite, each != 0)
        x = numpy.where(used[:, None], x, x.dtype.type(0))
        by_class = x.T.copy() if few else x
    top = numpy.where(finite, top, top.dtype.type(0))
    with numpy.errstate(divide="ignore", invalid="ignore"):  # for a row of -inf, or of inf
        return _cross_entropy(x, by_class, top, target, each, reduction)


def _cross_entropy(
    x: Array, by_class: Array, top: Array, target: Array, each: Array | None, reduction: str
) -> tuple[Array, Array, Array, Array, Any]:
    """The loss for finite maxima ``top``. ``by_class`` is x, or its transposed copy for few classes."""
    n, classes = x.shape
    few = classes <= FEW
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
    divisor: Any = 1 if reduction == "sum" else n if each is None else add.reduce(each)
    return over(total_loss(loss), divisor), top, (p.T if few else p), total, divisor


def _picked(target: Array, shifted: Array) -> Array:
    """``sum(target * shifted)`` over the classes, where a target of 0 times -inf is 0."""
    with numpy.errstate(invalid="ignore"):
        picked = add.reduce(target * shifted, 0)
    if math.isfinite(numpy.vdot(picked, picked)):
        return picked
    impossible = numpy.logical_and(target == 0, numpy.isinf(shifted))
    return add.reduce(target * numpy.where(impossible, shifted.dtype.type(0), shifted), 0)


def total_loss(loss: Array) -> Any:
    """The sum of losses. Few numbers may be added in any order, and BLAS starts sooner."""
    return loss.dot(cached_ones(loss.size, loss.dtype)) if loss.size <= 4096 else add.reduce(loss)


def over(total: Any, divisor: Any) -> Any:
    """``total / divisor``, or nan if the divisor is 0."""
    if type(total) is ndarray and not total.ndim:  # NumPy divides a scalar in a fifth of the time
        total = total[()]
    return total / divisor if divisor else total * math.nan


def cross_entropy_grad(
    g: Array, p: Array, total: Array, target: Array, weight: Array | None, divisor: Any, ignore: int | None
) -> Array:
    """As the plain version. It uses the same order of memory as `cross_entropy`."""
    n, classes = p.shape
    if divisor is not None:
        g = over(g, divisor)
    if target.ndim == 1 and not (weight is None and ignore is None):
        target, each = row_weights(NUMPY, target, weight, ignore, p)
        g = numpy.where(each == 0, p.dtype.type(0), g * each)
    scale = g / total
    few = classes <= FEW
    out = numpy.empty((classes, n) if few else p.shape, p.dtype)
    multiply(p.T if few else p, scale if few else scale[:, None], out)
    if target.ndim == 2:
        out = out.T if few else out
        out *= add.reduce(target, axis=1, keepdims=True)
        out -= target * (g[:, None] if g.ndim else g)
        return out
    out.reshape(-1)[_places(target, n, classes)] -= g
    return out.T if few else out


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (cross_entropy, cross_entropy_grad, mse, quotient)
}
