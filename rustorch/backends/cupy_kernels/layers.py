"""The softmax family and cross-entropy: one launch forward, one back. And the product that linear layers are made of."""

from __future__ import annotations

from math import prod
from typing import Any

import cupy

from .launch import Array, Source, overrides
from .rows import ROWS, Rows, along, launch

_SOURCE = Source(
    ROWS,
    """
enum { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP };

// The row's maximum, and the sum of exponentials after it was subtracted. An infinite one is left out for everything but a softmax.
__device__ T maximum(const Row& row, const T* x, bool always) {
    T top = 0;
    EACH(j) top = j == row.lane ? x[row.at(j)] : larger(x[row.at(j)], top);
    top = row.largest(top);
    return always ? top : finite_or_0(top);
}
__device__ T exponentials(const Row& row, const T* x, T top) {
    T total = 0;
    EACH(j) total += exp(x[row.at(j)] - top);
    return row.sum(total);
}

extern "C" __launch_bounds__(1024) __global__ void
softmax(Rows rows, const T* x, T* out, I kind) {
    Row row(rows);
    T top = maximum(row, x, kind != LOGSUMEXP), total = exponentials(row, x, top), log_total = log(total);
    if (kind == LOGSUMEXP) {
        if (row.leads()) out[row.number] = log_total + top;
        return;
    }
    EACH(j) {
        I k = row.at(j);
        out[k] = kind == SOFTMAX ? exp(x[k] - top) / total : x[k] - top - log_total;
    }
}

extern "C" __launch_bounds__(1024) __global__ void
softmax_grad(Rows rows, const T* g, const T* out, T* dx, I kind) {
    Row row(rows);
    T sum = 0;
    EACH(j) sum += kind == SOFTMAX ? g[row.at(j)] * out[row.at(j)] : g[row.at(j)];
    sum = row.sum(sum);
    EACH(j) {
        I k = row.at(j);
        dx[k] = kind == SOFTMAX ? out[k] * (g[k] - sum) : g[k] - exp(out[k]) * sum;
    }
}

// A row's class; what is out of range wraps, as everywhere in CuPy.
__device__ I wrapped(long long number, I classes) {
    number %= classes;
    return number < 0 ? number + classes : number;
}

// Of target and shares, one is there: classes, or the weights of all classes.
extern "C" __launch_bounds__(1024) __global__ void
cross_entropy(Rows rows, const T* x, const long long* target, const T* shares, const T* weight, T* loss, T* tops, T* p,
              T* totals) {
    Row row(rows);
    T top = maximum(row, x, false), total = 0, sum = 0;
    EACH(j) total += p[row.at(j)] = exp(x[row.at(j)] - top);
    total = row.sum(total);
    if (shares) {
        EACH(j) sum += shares[row.at(j)] * (log(total) - (x[row.at(j)] - top));
        sum = row.sum(sum);
    }
    if (!row.leads()) return;
    if (target) sum = log(total) - (x[row.at(wrapped(target[row.number], rows.size))] - top);
    if (target && weight) sum = weight[row.number] != 0 ? sum * weight[row.number] : 0;
    loss[row.number] = sum;
    tops[row.number] = top;
    totals[row.number] = total;
}

// The divisor is a number, or in an array.
extern "C" __launch_bounds__(1024) __global__ void
mean(Rows rows, const T* x, const T* divisor, T number, T* out) {
    Row row(rows);
    T sum = 0;
    EACH(j) sum += x[row.at(j)];
    sum = row.sum(sum);
    if (row.leads()) out[row.number] = sum / (divisor ? *divisor : number);
}

// Either there is one g and a divisor, or a g for each row.
extern "C" __launch_bounds__(1024) __global__ void
cross_entropy_grad(Rows rows, const T* g, const T* p, const T* totals, const long long* target, const T* shares, const T* weight,
                   const T* divisor, T number, I each, T* dx) {
    Row row(rows);
    T sum = 0;
    if (shares) {
        EACH(j) sum += shares[row.at(j)];
        sum = row.sum(sum);
    }
    if (!row.n) return;
    T scale = each ? g[row.number] : *g / (divisor ? *divisor : number);
    if (weight) scale *= weight[row.number];
    I hot = target ? wrapped(target[row.number], rows.size) : 0;
    EACH(j) {
        I k = row.at(j);
        T share = p[k] / totals[row.number];
        dx[k] = scale * (shares ? share * sum - shares[k] : j == hot ? share - 1 : share);
    }
}
""",
)
_SOFTMAX, _LOG_SOFTMAX, _LOGSUMEXP = range(3)


def softmax(x: Array, axis: int) -> Array:
    out = cupy.empty(x.shape, x.dtype)
    launch(_SOURCE, "softmax", along(x.shape, axis), x, out, _SOFTMAX)
    return out


def log_softmax(x: Array, axis: int) -> Array:
    out = cupy.empty(x.shape, x.dtype)
    launch(_SOURCE, "softmax", along(x.shape, axis), x, out, _LOG_SOFTMAX)
    return out


def logsumexp(x: Array, axis: int) -> Array:
    axis %= x.ndim
    out = cupy.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    launch(_SOURCE, "softmax", along(x.shape, axis), x, out, _LOGSUMEXP)
    return out


def softmax_grad(g: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(out.shape, out.dtype)
    launch(_SOURCE, "softmax_grad", along(out.shape, axis), g, out, dx, _SOFTMAX)
    return dx


def log_softmax_grad(g: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(out.shape, out.dtype)
    launch(_SOURCE, "softmax_grad", along(out.shape, axis), g, out, dx, _LOG_SOFTMAX)
    return dx


def matmul(x1: Array, x2: Array, /) -> Array:
    """Many matrices times one are one product, of all their rows; CuPy would copy a transposed one, and look up where each of them lies."""
    if x1.ndim < 3 or x2.ndim != 2:
        return cupy.matmul(x1, x2)
    rows = x1.reshape(prod(x1.shape[:-1]), x1.shape[-1])
    return cupy.matmul(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])


def _target(target: Array, dtype: Any) -> tuple[Array | None, Array | None]:
    """Classes, or the weights of all classes: the other one is None."""
    return (None, target.astype(dtype, copy=False)) if target.ndim == 2 else (target.astype("int64", copy=False), None)


def _divisor(divisor: Any) -> tuple[Array | None, float]:
    """As an array, or as a number."""
    return (divisor, 1.0) if isinstance(divisor, cupy.ndarray) else (None, 1.0 if divisor is None else float(divisor))


def cross_entropy(x: Array, target: Array, weight: Array | None, divisor: Any) -> tuple[Array, Array, Array, Array]:
    loss, top, total = (cupy.empty(x.shape[:1], x.dtype) for _ in range(3))
    p = cupy.empty(x.shape, x.dtype)
    launch(_SOURCE, "cross_entropy", along(x.shape, 1), x, *_target(target, p.dtype), weight, loss, top, p, total)
    if divisor is not None:
        whole = cupy.empty((), x.dtype)
        launch(_SOURCE, "mean", Rows(1, x.shape[0], 1, 0, x.shape[0], 0, 1), loss, *_divisor(divisor), whole)
        loss = whole
    return loss, top, p, total


def cross_entropy_grad(g: Array, p: Array, total: Array, target: Array, weight: Array | None, divisor: Any) -> Array:
    dx = cupy.empty(p.shape, p.dtype)
    given = (*_target(target, p.dtype), weight, *_divisor(divisor))
    launch(_SOURCE, "cross_entropy_grad", along(p.shape, 1), g, p, total, *given, divisor is None, dx)
    return dx


OVERRIDES = {
    **overrides(softmax, softmax_grad, log_softmax, log_softmax_grad, logsumexp, cross_entropy, cross_entropy_grad),
    "matmul": matmul,
}
