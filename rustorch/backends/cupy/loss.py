"""Cross-entropy in one or two launches; losses of single numbers and their derivatives in one launch each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import numpy

from ..base import Array
from ..kernels import loss as plain
from .fusing import Fused
from .launch import Source, overrides
from .rows import ROWS, Rows, along, launch_rows

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


_FUSED: tuple[Callable[..., Any], ...] = (
    plain.mse_grad,
    plain.huber,
    plain.huber_grad,
    plain.smooth_l1,
    plain.smooth_l1_grad,
    plain.binary_cross_entropy,
    plain.binary_cross_entropy_grad,
    plain.binary_cross_entropy_grad_target,
    plain.binary_cross_entropy_with_logits,
    plain.binary_cross_entropy_with_logits_grad,
    plain.gaussian_nll_slope,
    plain.quotient,
    plain.quotient_or_zero,
)

OVERRIDES = overrides(
    *[Fused(function) for function in _FUSED],
    cross_entropy,
    cross_entropy_grad,
)
