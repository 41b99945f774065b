"""NumPy's softmax, log_softmax and logsumexp: in place, with one temporary."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, exp, maximum, subtract

if TYPE_CHECKING:
    from ..base import Array


def _shifted(x: Array, axis: int) -> Array:
    """``x`` minus its maximum along an axis."""
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
    """The logarithm of the sum of ``terms = exp(shifted)``, whose largest term is 1; by log1p if the others are small.
    It may overwrite ``terms``.
    """
    total = add.reduce(terms, axis=axis, keepdims=True)
    small = numpy.logical_and(total < 1.5, total >= 1)
    if not small.any():
        return numpy.log(total, total)
    numpy.copyto(terms, 0, where=shifted == 0)
    with numpy.errstate(divide="ignore"):  # the sum over a row of -inf is 0
        return numpy.where(small, numpy.log1p(add.reduce(terms, axis=axis, keepdims=True)), numpy.log(total))


def logsumexp(x: Array, axis: int) -> Array:
    if not x.shape[axis]:
        return add.reduce(x, axis=axis, keepdims=True) - x.dtype.type(math.inf)
    top = maximum.reduce(x, axis=axis, keepdims=True)
    finite = numpy.isfinite(top)
    if not numpy.logical_and.reduce(finite, None):
        top = numpy.where(finite, top, top.dtype.type(0))
    shifted = subtract(x, top)
    with numpy.errstate(divide="ignore", over="ignore"):  # the sum over a row of -inf is 0
        total = _log_sum(shifted, axis, exp(shifted))
    total += top
    return total


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (softmax, log_softmax, logsumexp)
}
