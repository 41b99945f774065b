"""The softmax family and cross-entropy: one launch forward, one back. And products and stacks that layers are
made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import cupy
import numpy

from .launch import Array, Source, can_gather, gather, overrides
from .rows import ROWS, Rows, along, launch_rows

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
// The logarithm of the sum of exponentials: one of the largest, which are 1, is left to log1p.
__device__ T log_sum(const Row& row, const T* x, T top) {
    T others = 0, largest = 0;
    EACH(j) {
        T part = x[row.at(j)] - top;
        if (part == 0) largest += 1;
        else others += exp(part);
    }
    others = row.sum(others);
    return log1p(others + (row.sum(largest) - 1));
}

extern "C" __launch_bounds__(1024) __global__ void
softmax(Rows rows, const T* x, T* out, I kind) {
    Row row(rows);
    T top = maximum(row, x, kind != LOGSUMEXP), total = 0, log_total = 0;
    if (kind == SOFTMAX) total = exponentials(row, x, top);
    else log_total = log_sum(row, x, top);
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
    T rest = 0;  // see the plain version
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
    T top = maximum(row, x, true), total = 0;
    bool infinite = isinf(top);
    EACH(j) total += infinite ? (T)(x[row.at(j)] == top) : exp(x[row.at(j)] - top);
    total = row.sum(total);
    EACH(j) {
        I k = row.at(j);
        T share = infinite ? (T)(x[k] == top) : exp(x[k] - top);
        dx[k] = infinite && top < 0 ? (T)0 : g[row.number] * (share / total);
    }
}

// What a row of some class counts: nothing if it is the one to ignore, and nan if there is no such class.
__device__ T counted(long long number, I classes, const T* weight, long long ignore) {
    if (number == ignore) return 0;
    if (number < 0 || number >= classes) return (T)nan("");
    return weight ? weight[number] : 1;
}
__device__ I safe(long long number, I classes) { return number >= 0 && number < classes ? number : 0; }

// Of target and shares, one is there: classes, or the weights of all classes.
extern "C" __launch_bounds__(1024) __global__ void
cross_entropy(Rows rows, const T* x, const long long* target, const T* shares, const T* weight, long long ignore, T* loss, T* tops,
              T* p, T* totals) {
    Row row(rows);
    T top = maximum(row, x, true), total = 0, sum = 0, count = target ? counted(target[row.number], rows.size, weight, ignore) : 1;
    bool lost = count == 0 && top - top != 0;  // the nan or infinity of a row that counts nothing must not spread
    top = finite_or_0(top);
    EACH(j) total += p[row.at(j)] = lost ? 1 : exp(x[row.at(j)] - top);
    total = row.sum(total);
    if (shares) {
        EACH(j) {
            T share = shares[row.at(j)], part = log(total) - (x[row.at(j)] - top);
            sum += share == 0 && isinf(part) ? 0 : share * part;  // what is impossible, and not asked for
        }
        sum = row.sum(sum);
    }
    if (!row.is_first()) return;
    if (target) sum = count == 0 ? 0 : count * (log(total) - (x[row.at(safe(target[row.number], rows.size))] - top));
    loss[row.number] = sum;
    tops[row.number] = top;
    totals[row.number] = total;
}

// The sum of some losses, and of what their rows count. The last launch of two divides the one by the other, or by a number.
extern "C" __launch_bounds__(1024) __global__ void
add_up(Rows rows, I n, const T* losses, const T* counts, const long long* target, I classes, const T* weight, long long ignore,
       T divisor, I last, T* sums, T* totals) {
    Row row(rows);
    T sum = 0, count = 0;
    EACH(j) {
        I k = row.at(j);
        if (k >= n) continue;
        sum += losses[k];
        if (totals) count += target ? counted(target[k], classes, weight, ignore) : counts[k];
    }
    sum = row.sum(sum);
    if (totals) count = row.sum(count);
    if (!row.is_first()) return;
    sums[row.number] = last ? sum / (totals ? count : divisor) : sum;
    if (totals) totals[row.number] = count;
}

// Either there is one g and a divisor, or a g for each row.
extern "C" __launch_bounds__(1024) __global__ void
cross_entropy_grad(Rows rows, const T* g, const T* p, const T* totals, const long long* target, const T* shares, const T* weight,
                   long long ignore, const T* divisor, T number, I each, T* dx) {
    Row row(rows);
    T sum = 0;
    if (shares) {
        EACH(j) sum += shares[row.at(j)];
        sum = row.sum(sum);
    }
    if (!row.n) return;
    T by = divisor ? *divisor : number, scale = each ? g[row.number] : by == 0 ? (T)nan("") : *g / by;
    if (target) {
        T count = counted(target[row.number], rows.size, weight, ignore);
        scale = count == 0 ? 0 : scale * count;
    }
    I hot = target ? safe(target[row.number], rows.size) : 0;
    EACH(j) {
        I k = row.at(j);
        T share = p[k] / totals[row.number];
        dx[k] = scale * (shares ? share * sum - shares[k] : j == hot ? share - 1 : share);
    }
}
""",
)
_SOFTMAX, _LOG_SOFTMAX, _LOGSUMEXP = range(3)
#: So many numbers are added up by one block of threads.
ONE_BLOCK = 1 << 14


def softmax(x: Array, axis: int) -> Array:
    out = cupy.empty(x.shape, x.dtype)
    launch_rows(_SOURCE, "softmax", along(x.shape, axis), x, out, _SOFTMAX)
    return out


def log_softmax(x: Array, axis: int) -> Array:
    out = cupy.empty(x.shape, x.dtype)
    launch_rows(_SOURCE, "softmax", along(x.shape, axis), x, out, _LOG_SOFTMAX)
    return out


def logsumexp(x: Array, axis: int) -> Array:
    axis %= x.ndim
    out = cupy.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
    launch_rows(_SOURCE, "softmax", along(x.shape, axis), x, out, _LOGSUMEXP)
    return out


def logsumexp_grad(g: Array, x: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(x.shape, x.dtype)
    launch_rows(_SOURCE, "logsumexp_grad", along(x.shape, axis), cupy.broadcast_to(g, out.shape), x, dx)
    return dx


def softmax_grad(g: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(out.shape, out.dtype)
    launch_rows(_SOURCE, "softmax_grad", along(out.shape, axis), g, out, dx, _SOFTMAX)
    return dx


def log_softmax_grad(g: Array, out: Array, axis: int) -> Array:
    dx = cupy.empty(out.shape, out.dtype)
    launch_rows(_SOURCE, "softmax_grad", along(out.shape, axis), g, out, dx, _LOG_SOFTMAX)
    return dx


def matmul(x1: Array, x2: Array, /) -> Array:
    """Many matrices times one are one product, of all their rows; CuPy would copy a transposed one, and look up where
    each of them lies.
    """
    if x1.ndim < 3 or x2.ndim != 2:
        return cupy.matmul(x1, x2)
    rows = x1.reshape(prod(x1.shape[:-1]), x1.shape[-1])
    return cupy.matmul(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """A few arrays along a new first axis in one launch; CuPy would copy each by itself."""
    first = arrays[0]
    if (
        len(arrays) < 2
        or axis not in (0, -1 - first.ndim)
        or not first.size
        or any(a.shape != first.shape for a in arrays)
    ):
        return cupy.stack(arrays, axis=axis)
    if not can_gather(*arrays):
        return cupy.stack(arrays, axis=axis)
    out = cupy.empty((len(arrays), *first.shape), first.dtype)
    gather(arrays, [out[i] for i in range(len(arrays))])
    return out


def _target(target: Array, dtype: Any) -> tuple[Array | None, Array | None]:
    """Classes, or the weights of all classes: the other one is None."""
    return (None, target.astype(dtype, copy=False)) if target.ndim == 2 else (target.astype("int64", copy=False), None)


def _ignored(ignore: int | None) -> Any:
    """The class to ignore, as the sources take it; where there is none, a number that is no class."""
    return numpy.int64(-(2**63) if ignore is None else ignore)


def cross_entropy(x: Array, target: Array, weight: Array | None, ignore: int | None, reduction: str) -> tuple:
    loss, top, total = (cupy.empty(x.shape[:1], x.dtype) for _ in range(3))
    p = cupy.empty(x.shape, x.dtype)
    classes, shares = _target(target, p.dtype)
    launch_rows(
        _SOURCE, "cross_entropy", along(x.shape, 1), x, classes, shares, weight, _ignored(ignore), loss, top, p, total
    )
    if reduction == "none":
        return loss, top, p, total, None
    divisor: Any = x.shape[0] if reduction == "mean" else 1
    if reduction == "mean" and shares is None and not weight is ignore is None:
        divisor = cupy.empty((), x.dtype)
    return _added_up(loss, classes, x.shape[1], weight, ignore, divisor), top, p, total, divisor


def _added_up(
    loss: Array, target: Array | None, classes: int, weight: Array | None, ignore: int | None, divisor: Any
) -> Array:
    """The sum of losses over a number, or over what their rows count, which is written into the array ``divisor``."""
    counts = isinstance(divisor, cupy.ndarray)
    number, n, total = 1.0 if counts else float(divisor), loss.size, divisor if counts else None
    of_counts = (target if counts else None, classes, weight, _ignored(ignore))
    out = cupy.empty((), loss.dtype)
    if n <= ONE_BLOCK:
        launch_rows(_SOURCE, "add_up", _chunks(n, 1), n, loss, None, *of_counts, number, True, out, total)
        return out
    blocks = min(-(-n // 4096), 1024)
    sums, parts = cupy.empty(blocks, loss.dtype), cupy.empty(blocks, loss.dtype) if counts else None
    launch_rows(_SOURCE, "add_up", _chunks(n, blocks), n, loss, None, *of_counts, number, False, sums, parts)
    launch_rows(
        _SOURCE, "add_up", _chunks(blocks, 1), blocks, sums, parts, None, *of_counts[1:], number, True, out, total
    )
    return out


def _chunks(n: int, blocks: int) -> Rows:
    """So many numbers in a row for each block; the last row may reach beyond the end."""
    size = -(-n // blocks)
    return Rows(blocks, size, 1, size, size, 0, 1)


def cross_entropy_grad(
    g: Array, p: Array, total: Array, target: Array, weight: Array | None, divisor: Any, ignore: int | None
) -> Array:
    dx = cupy.empty(p.shape, p.dtype)
    by = (divisor, 1.0) if isinstance(divisor, cupy.ndarray) else (None, float(divisor or 1))
    given = (*_target(target, p.dtype), weight, _ignored(ignore), *by, divisor is None)
    launch_rows(_SOURCE, "cross_entropy_grad", along(p.shape, 1), g, p, total, *given, dx)
    return dx


OVERRIDES = {
    **overrides(
        softmax,
        softmax_grad,
        log_softmax,
        log_softmax_grad,
        logsumexp,
        logsumexp_grad,
        cross_entropy,
        cross_entropy_grad,
    ),
    "matmul": matmul,
    "stack": stack,
}
