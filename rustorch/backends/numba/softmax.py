"""Softmax, log_softmax and logsumexp with their gradients: each row is read and written while it is in the cache.

Rows along the last axis lie in one piece. Along other axes, a block of neighbouring columns is worked on at a time:
their maxima and sums stand on the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from . import softmax_columns as columns
from .kernel import LEAST, Kernel, flat
from .softmax_columns import INF, WIDTH, finite_or_zero

if TYPE_CHECKING:
    from ..base import Array
    from .mathematics import exp, log1p
    from .reductions import larger, less_one, plus

    T: Any = float

#: Sums over this many elements are made in the array's dtype, and added up in float64.
BLOCK = 2048
#: Below this logarithm of a probability, ``1 - p`` keeps its digits.
FAR = -0.7
#: Bytes of a block of columns: it should stay in the cache of one core.
_CACHED = 1 << 18
#: About how many additions an element takes.
_COST = 4
#: Elements below which NumPy serves.
_LEAST = LEAST // _COST


# -- rows in one piece -------------------------------------------------------------------------------------------------
def largest(x: Any) -> Any:
    """The maximum of a row."""
    top = T(-INF)
    for i in range(x.size):
        top = larger(top, x[i])
    return top


def exponentials(x: Any, out: Any, top: Any) -> Any:
    """Write ``exp(x - top)``, and return its sum."""
    total = 0.0
    for begin in range(0, x.size, BLOCK):
        values, terms = x[begin : begin + BLOCK], out[begin : begin + BLOCK]
        part = T(0)
        for i in range(values.size):
            term = exp(values[i] - top)
            terms[i] = term
            part = plus(part, term)
        total += part
    return total


def log_sum(x: Any, top: Any) -> Any:
    """``log(sum(exp(x - top)))``, where a largest term of 1 is added by log1p."""
    others, more = 0.0, -1.0
    for begin in range(0, x.size, BLOCK):
        values = x[begin : begin + BLOCK]
        part, count = T(0), T(0)
        for i in range(values.size):
            shifted = values[i] - top
            is_top = T(shifted == T(0))
            part = plus(part, exp(shifted) - is_top)
            count = plus(count, is_top)
        others += part
        more += count
    return log1p(T(others + more))


def _softmax(x: Any, out: Any, n: int, start: int, stop: int) -> None:
    for r in range(start, stop):
        row, y = x[r * n : r * n + n], out[r * n : r * n + n]
        factor = T(1 / exponentials(row, y, largest(row)))
        for i in range(y.size):
            y[i] *= factor


def _softmax_grad(g: Any, out: Any, dx: Any, n: int, start: int, stop: int) -> None:
    for r in range(start, stop):
        slope, p, y = g[r * n : r * n + n], out[r * n : r * n + n], dx[r * n : r * n + n]
        total, top = _weighted(slope, p, T(0))
        mean, rest = T(total), T(0)
        # The mean of the rest is a rounding error, except where one weight is nearly 1.
        if top > T(0.5) or not abs(mean) < T(INF):
            total, top = _weighted(slope, p, mean)
            rest = T(total)
        for i in range(y.size):
            y[i] = p[i] * ((slope[i] - mean) - rest)


def _weighted(x: Any, weight: Any, mean: Any) -> Any:
    """``sum((x - mean) * weight)``, and the largest weight."""
    total, top = 0.0, T(-INF)
    for begin in range(0, x.size, BLOCK):
        values, weights = x[begin : begin + BLOCK], weight[begin : begin + BLOCK]
        part = T(0)
        for i in range(values.size):
            part = plus(part, (values[i] - mean) * weights[i])
            top = larger(top, weights[i])
        total += part
    return total, top


def _log_softmax(x: Any, out: Any, n: int, start: int, stop: int) -> None:
    for r in range(start, stop):
        row, y = x[r * n : r * n + n], out[r * n : r * n + n]
        top = largest(row)
        log = log_sum(row, top)
        for i in range(y.size):
            y[i] = (row[i] - top) - log


def _log_softmax_grad(g: Any, out: Any, dx: Any, n: int, start: int, stop: int) -> None:
    for r in range(start, stop):
        slope, p, y = g[r * n : r * n + n], out[r * n : r * n + n], dx[r * n : r * n + n]
        total = 0.0
        for begin in range(0, slope.size, BLOCK):
            values = slope[begin : begin + BLOCK]
            part = T(0)
            for i in range(values.size):
                part = plus(part, values[i])
            total += part
        sum_ = T(total)
        if largest(p) < FAR:
            for i in range(y.size):
                y[i] = slope[i] - exp(p[i]) * sum_
        else:
            for i in range(y.size):
                power = exp(p[i])
                y[i] = -(slope[i] * less_one(power, p[i])) - power * (sum_ - slope[i])


def _logsumexp(x: Any, out: Any, n: int, start: int, stop: int) -> None:
    for r in range(start, stop):
        row = x[r * n : r * n + n]
        top = finite_or_zero(largest(row))
        out[r] = log_sum(row, top) + top


def _logsumexp_grad(g: Any, x: Any, out: Any, dx: Any, n: int, start: int, stop: int) -> None:
    for r in range(start, stop):
        row, y, slope = x[r * n : r * n + n], dx[r * n : r * n + n], g[r]
        if abs(out[r]) == T(INF):  # elements of infinity share the gradient; without them there is none
            count = T(0)
            for i in range(row.size):
                count = plus(count, T(1) if row[i] == T(INF) else T(0))
            share = T(1) / count if out[r] > T(0) else T(0)
            slope = slope if out[r] > T(0) else T(0)
            for i in range(y.size):
                y[i] = slope * (share if row[i] == T(INF) else T(0))
        else:
            factor = T(1 / exponentials(row, y, largest(row)))
            for i in range(y.size):
                y[i] = slope * (y[i] * factor)


# -- the overrides -----------------------------------------------------------------------------------------------------
class _Pair(NamedTuple):
    """The kernels of a function along the last axis and along another one."""

    rows: Kernel
    columns: Kernel


class _Plan(NamedTuple):
    """A compiled kernel, the number of its items, and the sizes that it takes after the arrays."""

    launch: Callable[..., None]
    items: int
    sizes: tuple[int, ...]


def _pair(rows: Callable[..., None], columns: Callable[..., None], arrays: int) -> _Pair:
    tokens = "T[] " * arrays
    return _Pair(Kernel(rows, tokens + "int"), Kernel(columns, tokens + "int int int int"))


_SOFTMAX = _pair(_softmax, columns.softmax, 2)
_SOFTMAX_GRAD = _pair(_softmax_grad, columns.softmax_grad, 3)
_LOG_SOFTMAX = _pair(_log_softmax, columns.log_softmax, 2)
_LOG_SOFTMAX_GRAD = _pair(_log_softmax_grad, columns.log_softmax_grad, 3)
_LOGSUMEXP = _pair(_logsumexp, columns.logsumexp, 2)
_LOGSUMEXP_GRAD = _pair(_logsumexp_grad, columns.logsumexp_grad, 4)


def _plan(pair: _Pair, x: Array, axis: int) -> _Plan | None:
    """How a kernel runs over an array along an axis; None where NumPy should serve."""
    shape = x.shape
    axis %= len(shape)
    n, inner = shape[axis], prod(shape[axis + 1 :])
    launch = (pair.rows if inner == 1 else pair.columns).of(x.dtype, _COST * x.size)
    if launch is None:
        return None
    if inner == 1:
        return _Plan(launch, x.size // n, (n,))
    most = min(max(_CACHED // (n * x.itemsize), 32), WIDTH)
    blocks = -(-inner // most)
    width = min(-(-inner // blocks) + 15 & -16, most)  # whole registers
    blocks = -(-inner // width)
    return _Plan(launch, x.size // (n * inner) * blocks, (n, inner, width, blocks))


def _apply(pair: _Pair, x: Array, axis: int) -> Array:
    if x.size < _LEAST or (plan := _plan(pair, x, axis)) is None:
        return NotImplemented
    out = numpy.empty(x.shape, x.dtype)
    plan.launch(plan.items, _COST * x.size, flat(x), out, *plan.sizes)
    return out


def _apply_grad(pair: _Pair, g: Array, out: Array, axis: int) -> Array:
    if out.size < _LEAST or g.shape != out.shape or g.dtype is not out.dtype:
        return NotImplemented
    plan = _plan(pair, out, axis)
    if plan is None:
        return NotImplemented
    dx = numpy.empty(out.shape, out.dtype)
    plan.launch(plan.items, _COST * out.size, flat(g), flat(out), dx, *plan.sizes)
    return dx


def softmax(x: Array, axis: int) -> Array:
    return _apply(_SOFTMAX, x, axis)


def softmax_grad(g: Array, out: Array, axis: int) -> Array:
    return _apply_grad(_SOFTMAX_GRAD, g, out, axis)


def log_softmax(x: Array, axis: int) -> Array:
    return _apply(_LOG_SOFTMAX, x, axis)


def log_softmax_grad(g: Array, out: Array, axis: int) -> Array:
    return _apply_grad(_LOG_SOFTMAX_GRAD, g, out, axis)


def logsumexp(x: Array, axis: int) -> Array:
    if x.size < _LEAST or (plan := _plan(_LOGSUMEXP, x, axis)) is None:
        return NotImplemented
    axis %= x.ndim
    out = numpy.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    plan.launch(plan.items, _COST * x.size, flat(x), out, *plan.sizes)
    return out


def logsumexp_grad(g: Array, x: Array, out: Array, axis: int) -> Array:
    if x.size < _LEAST or g.shape != out.shape or not g.dtype is out.dtype is x.dtype:
        return NotImplemented
    plan = _plan(_LOGSUMEXP_GRAD, x, axis)
    if plan is None:
        return NotImplemented
    dx = numpy.empty(x.shape, x.dtype)
    plan.launch(plan.items, _COST * x.size, flat(g), flat(x), flat(out), dx, *plan.sizes)
    return dx


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (softmax, softmax_grad, log_softmax, log_softmax_grad, logsumexp, logsumexp_grad)
}
