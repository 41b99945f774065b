"""Softmax, log-softmax, logsumexp and their gradients: one launch each, in which some threads share each row."""

from __future__ import annotations

import cupy

from ..base import Array
from .launch import Source, overrides
from .rows import ROWS, along, launch_rows

_SOURCE = Source(
    ROWS,
    """
enum { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP };

// The logarithm of the sum of exponentials of x - top. One of the largest terms, which are 1, is left to log1p.
__device__ T log_sum(const Row& row, const T* x, T top) {
    T others = 0, largest = 0;
    EACH(j) {
        T shifted = x[row.at(j)] - top;
        if (shifted == 0) largest += 1;
        else others += exp(shifted);
    }
    others = row.sum(others);
    return log1p(others + (row.sum(largest) - 1));
}

extern "C" __launch_bounds__(1024) __global__ void
softmax(Rows rows, const T* x, T* out, I kind) {
    Row row(rows);
    T top = maximum(row, x), total = 0, log_total = 0;
    if (kind == LOGSUMEXP) top = finite_or_0(top);
    if (kind == SOFTMAX) {
        EACH(j) total += exp(x[row.at(j)] - top);
        total = row.sum(total);
    } else {
        log_total = log_sum(row, x, top);
    }
    if (kind == LOGSUMEXP) {
        if (row.is_first()) out[row.number] = log_total + top;
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
    T rest = 0;  // the plain version of softmax_grad says why it is subtracted
    if (kind == SOFTMAX) {
        EACH(j) rest += (g[row.at(j)] - sum) * out[row.at(j)];
        rest = row.sum(rest);
    }
    EACH(j) {
        I k = row.at(j);
        dx[k] = kind == SOFTMAX ? out[k] * (g[k] - sum - rest) : -(g[k] * expm1(out[k])) - exp(out[k]) * (sum - g[k]);
    }
}

extern "C" __launch_bounds__(1024) __global__ void
logsumexp_grad(Rows rows, const T* g, const T* x, T* dx) {
    Row row(rows);
    T top = maximum(row, x), total = 0;
    bool infinite = isinf(top);
    EACH(j) total += infinite ? (T)(x[row.at(j)] == top) : exp(x[row.at(j)] - top);
    total = row.sum(total);
    EACH(j) {
        I k = row.at(j);
        T share = infinite ? (T)(x[k] == top) : exp(x[k] - top);
        dx[k] = infinite && top < 0 ? (T)0 : g[row.number] * (share / total);
    }
}
""",
)
_SOFTMAX, _LOG_SOFTMAX, _LOGSUMEXP = range(3)


def softmax(x: Array, axis: int) -> Array:
    out = cupy.empty(x.shape, x.dtype)
    launch_rows(_SOURCE, "softmax", along(x.shape, axis), x, out, _SOFTMAX)
    return out


def softmax_grad(g: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(out.shape, out.dtype)
    launch_rows(_SOURCE, "softmax_grad", along(out.shape, axis), g, out, dx, _SOFTMAX)
    return dx


def log_softmax(x: Array, axis: int) -> Array:
    out = cupy.empty(x.shape, x.dtype)
    launch_rows(_SOURCE, "softmax", along(x.shape, axis), x, out, _LOG_SOFTMAX)
    return out


def log_softmax_grad(g: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(out.shape, out.dtype)
    launch_rows(_SOURCE, "softmax_grad", along(out.shape, axis), g, out, dx, _LOG_SOFTMAX)
    return dx


def logsumexp(x: Array, axis: int) -> Array:
    axis %= x.ndim
    out = cupy.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    launch_rows(_SOURCE, "softmax", along(x.shape, axis), x, out, _LOGSUMEXP)
    return out


def logsumexp_grad(g: Array, x: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(x.shape, x.dtype)
    launch_rows(_SOURCE, "logsumexp_grad", along(x.shape, axis), cupy.broadcast_to(g, out.shape), x, dx)
    return dx


OVERRIDES = overrides(softmax, softmax_grad, log_softmax, log_softmax_grad, logsumexp, logsumexp_grad)
