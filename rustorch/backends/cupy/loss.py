"""Cross-entropy in one or two launches; losses of single numbers and their derivatives in one launch each."""

from __future__ import annotations

from typing import Any

import cupy
import numpy

from ..base import Array
from .launch import Source, overrides
from .rows import ROWS, Rows, along, launch_rows

# -- losses of single numbers ------------------------------------------------------------------------------------------
#: Clip d to [-limit, limit]. nan stays nan.
_CLIPPED = "T c = d < -limit ? -limit : d > limit ? limit : d; "
_huber = cupy.ElementwiseKernel("T d, T limit", "T out", _CLIPPED + "out = c * (d - (T)0.5 * c)", "rustorch_huber")
_huber_grad = cupy.ElementwiseKernel("T g, T d, T limit", "T out", _CLIPPED + "out = g * c", "rustorch_huber_grad")
_smooth_l1 = cupy.ElementwiseKernel(
    "T d, T limit", "T out", _CLIPPED + "out = c / limit * (d - (T)0.5 * c)", "rustorch_smooth_l1"
)
_smooth_l1_grad = cupy.ElementwiseKernel(
    "T g, T d, T limit", "T out", _CLIPPED + "out = g * (c / limit)", "rustorch_smooth_l1_grad"
)
_binary_cross_entropy = cupy.ElementwiseKernel(
    "T x, T y",
    "T out",
    """
    T log_x = log(x <= (T)0 ? (T)1 : x), log_rest = x >= (T)1 ? (T)-100 : log1p(-x);
    log_x = x <= (T)0 || log_x < (T)-100 ? (T)-100 : log_x;
    out = -(y * log_x + ((T)1 - y) * log_rest);
    """,
    "rustorch_binary_cross_entropy",
)
_binary_cross_entropy_grad = cupy.ElementwiseKernel(
    "T g, T x, T y",
    "T out",
    "T v = x * ((T)1 - x); out = g * ((x - y) / (v < (T)1e-12 ? (T)1e-12 : v))",
    "rustorch_binary_cross_entropy_grad",
)
_with_logits = cupy.ElementwiseKernel(
    "T x, T y, T p",
    "T out",
    """
    T size = fabs(x), above = (T)1 - y, below = p * y, slope = x > (T)0 ? above : below;
    out = (slope == (T)0 ? (T)0 : size * slope) + (above + below) * log1p(exp(-size));
    """,
    "rustorch_binary_cross_entropy_with_logits",
)
_with_logits_grad = cupy.ElementwiseKernel(
    "T g, T x, T y, T p",
    "T out",
    """
    T size = fabs(x), above = (T)1 - y, below = p * y, e = exp(-size);
    T far = x > (T)0 ? above - below * e : above * e - below;
    T near = above - below - (x > (T)0 ? below : -above) * expm1(-size);
    out = g * ((size < (T)1 ? near : far) / ((T)1 + e));
    """,
    "rustorch_binary_cross_entropy_with_logits_grad",
)
_quotient = cupy.ElementwiseKernel("T x, T y", "T out", "out = x / y", "rustorch_quotient")
_quotient_or_zero = cupy.ElementwiseKernel(
    "T x, T y", "T out", "out = y == (T)0 ? (T)0 : x / y", "rustorch_quotient_or_zero"
)


def huber(d: Array, delta: float) -> Array:
    return _huber(d, delta)


def huber_grad(g: Array, d: Array, delta: float) -> Array:
    return _huber_grad(g, d, delta)


def smooth_l1(d: Array, beta: float) -> Array:
    return _smooth_l1(d, beta)


def smooth_l1_grad(g: Array, d: Array, beta: float) -> Array:
    return _smooth_l1_grad(g, d, beta)


def binary_cross_entropy(x: Array, target: Array) -> Array:
    return _binary_cross_entropy(x, target)


def binary_cross_entropy_grad(g: Array, x: Array, target: Array) -> Array:
    return _binary_cross_entropy_grad(g, x, target)


def binary_cross_entropy_with_logits(x: Array, target: Array, positive: Array | None) -> Array:
    return _with_logits(x, target, 1.0 if positive is None else positive)


def binary_cross_entropy_with_logits_grad(g: Array, x: Array, target: Array, positive: Array | None) -> Array:
    return _with_logits_grad(g, x, target, 1.0 if positive is None else positive)


def quotient(total: Array, count: Array) -> Array:
    return _quotient(total, count)


def quotient_or_zero(total: Array, count: Array) -> Array:
    return _quotient_or_zero(total, count)


# -- cross-entropy -----------------------------------------------------------------------------------------------------
_SOURCE = Source(
    ROWS,
    """
// What a row counts for: 0 if its class is the one to ignore, nan if its class does not exist.
__device__ T row_weight(long long number, I classes, const T* weight, long long ignore) {
    if (number == ignore) return 0;
    if (number < 0 || number >= classes) return (T)nan("");
    return weight ? weight[number] : 1;
}
__device__ I safe(long long number, I classes) { return number >= 0 && number < classes ? number : 0; }

// Either `target` (a class for each row) or `shares` (a weight for each row and class) is not null.
extern "C" __launch_bounds__(1024) __global__ void
cross_entropy(Rows rows, const T* x, const long long* target, const T* shares, const T* weight, long long ignore,
              T* loss, T* tops, T* p, T* totals) {
    Row row(rows);
    T top = maximum(row, x), total = 0, sum = 0;
    T count = target ? row_weight(target[row.number], rows.size, weight, ignore) : 1;
    bool skip = count == 0 && top - top != 0;  // nan or infinity in a row that counts 0 must not spread
    top = finite_or_0(top);
    EACH(j) total += p[row.at(j)] = skip ? 1 : exp(x[row.at(j)] - top);
    total = row.sum(total);
    if (shares) {
        EACH(j) {
            T share = shares[row.at(j)], part = log(total) - (x[row.at(j)] - top);
            sum += share == 0 && isinf(part) ? 0 : share * part;  // 0 for an impossible class of weight 0
        }
        sum = row.sum(sum);
    }
    if (!row.is_first()) return;
    if (target) {
        T part = log(total) - (x[row.at(safe(target[row.number], rows.size))] - top);
        sum = count == 0 ? 0 : count * part;
    }
    loss[row.number] = sum;
    tops[row.number] = top;
    totals[row.number] = total;
}

// Sum the losses of rows, and what the rows count for. The last of two launches divides: by the latter sum, or by a
// number.
extern "C" __launch_bounds__(1024) __global__ void
add_up(Rows rows, I n, const T* losses, const T* counts, const long long* target, I classes, const T* weight,
       long long ignore, T divisor, I last, T* sums, T* totals) {
    Row row(rows);
    T sum = 0, count = 0;
    EACH(j) {
        I k = row.at(j);
        if (k >= n) continue;
        sum += losses[k];
        if (totals) count += target ? row_weight(target[k], classes, weight, ignore) : counts[k];
    }
    sum = row.sum(sum);
    if (totals) count = row.sum(count);
    if (!row.is_first()) return;
    sums[row.number] = last ? sum / (totals ? count : divisor) : sum;
    if (totals) totals[row.number] = count;
}

// There is one g and a divisor, or (if `g_per_row`) a g for each row.
extern "C" __launch_bounds__(1024) __global__ void
cross_entropy_grad(Rows rows, const T* g, const T* p, const T* totals, const long long* target, const T* shares,
                   const T* weight, long long ignore, const T* divisor, T number, I g_per_row, T* dx) {
    Row row(rows);
    T sum = 0;
    if (shares) {
        EACH(j) sum += shares[row.at(j)];
        sum = row.sum(sum);
    }
    if (!row.n) return;
    T by = divisor ? *divisor : number, scale = g_per_row ? g[row.number] : by == 0 ? (T)nan("") : *g / by;
    if (target) {
        T count = row_weight(target[row.number], rows.size, weight, ignore);
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
#: One block adds up to this many losses. For more losses, many blocks do, and a second launch adds their sums.
ONE_BLOCK = 1 << 14


def _target(target: Array, dtype: Any) -> tuple[Array | None, Array | None]:
    """(target, None) for a class for each row, (None, target) for a weight for each row and class."""
    return (None, target.astype(dtype, copy=False)) if target.ndim == 2 else (target.astype("int64", copy=False), None)


def _ignored(ignore: int | None) -> Any:
    """The class to ignore, for the sources. For None it is a number that is no class."""
    return numpy.int64(-(2**63) if ignore is None else ignore)


def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore: int | None, reduction: str
) -> tuple[Array, Array, Array, Array, Any]:
    loss, top, total = (cupy.empty(x.shape[:1], x.dtype) for _ in range(3))
    p = cupy.empty(x.shape, x.dtype)
    classes, shares = _target(target, p.dtype)
    outputs = (loss, top, p, total)
    launch_rows(_SOURCE, "cross_entropy", along(x.shape, 1), x, classes, shares, weight, _ignored(ignore), *outputs)
    if reduction == "none":
        return loss, top, p, total, None
    divisor: Any = x.shape[0] if reduction == "mean" else 1
    if reduction == "mean" and shares is None and not weight is ignore is None:
        divisor = cupy.empty((), x.dtype)
    return _reduced(loss, classes, x.shape[1], weight, ignore, divisor), top, p, total, divisor


def _reduced(
    loss: Array, target: Array | None, classes: int, weight: Array | None, ignore: int | None, divisor: Any
) -> Array:
    """The sum of losses over the number ``divisor``.

    If ``divisor`` is an array, the sum of what the rows count for is written into it and is the divisor.
    """
    is_weighted = isinstance(divisor, cupy.ndarray)
    number, n, total = 1.0 if is_weighted else float(divisor), loss.size, divisor if is_weighted else None
    counts = (target if is_weighted else None, classes, weight, _ignored(ignore))
    out = cupy.empty((), loss.dtype)
    if n <= ONE_BLOCK:
        launch_rows(_SOURCE, "add_up", _chunks(n, 1), n, loss, None, *counts, number, True, out, total)
        return out
    blocks = min(-(-n // 4096), 1024)
    sums, parts = cupy.empty(blocks, loss.dtype), cupy.empty(blocks, loss.dtype) if is_weighted else None
    launch_rows(_SOURCE, "add_up", _chunks(n, blocks), n, loss, None, *counts, number, False, sums, parts)
    last = (sums, parts, None, *counts[1:], number, True, out, total)
    launch_rows(_SOURCE, "add_up", _chunks(blocks, 1), blocks, *last)
    return out


def _chunks(n: int, blocks: int) -> Rows:
    """A row of numbers for each block. The last row may reach beyond the end."""
    size = -(-n // blocks)
    return Rows(blocks, size, 1, size, size, 0, 1)


def cross_entropy_grad(
    g: Array, p: Array, total: Array, target: Array, weight: Array | None, divisor: Any, ignore: int | None
) -> Array:
    dx = cupy.empty(p.shape, p.dtype)
    by = (divisor, 1.0) if isinstance(divisor, cupy.ndarray) else (None, float(divisor or 1))
    options = (*_target(target, p.dtype), weight, _ignored(ignore), *by, divisor is None)
    launch_rows(_SOURCE, "cross_entropy_grad", along(p.shape, 1), g, p, total, *options, dx)
    return dx


OVERRIDES = overrides(
    huber,
    huber_grad,
    smooth_l1,
    smooth_l1_grad,
    binary_cross_entropy,
    binary_cross_entropy_grad,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_grad,
    quotient,
    quotient_or_zero,
    cross_entropy,
    cross_entropy_grad,
)
