"""Layer norm, RMS norm and batch norm: one CUDA function for their values, and two for their gradients."""

from __future__ import annotations

from typing import Any

import cupy

from ..base import Array
from .launch import Source, call_plain, overrides
from .rows import ROWS, along, channels, launch_rows, trailing

_SOURCE = Source(
    ROWS,
    """
// Without mean, the rows are not centered (RMS norm). With `whole`, a row has one weight, else each element has one.
extern "C" __launch_bounds__(1024) __global__ void
standardize(Rows rows, const T* x, const T* weight, const T* bias, T* out, T* mean, T* var, T* rstd, T eps, I whole) {
    Row row(rows);
    T center = 0, square = 0, factor = 1;
    T shrink = sizeof(T) == 4 ? (T)1.262177448353619e-29 : (T)6.441148769597133e-232;
    for (int turn = 0; turn < 2; turn++) {
        if (mean) {
            center = 0;
            EACH(j) center += x[row.at(j)] * factor;
            center = row.sum(center) / rows.size;
        }
        square = 0;
        EACH(j) square += (x[row.at(j)] * factor - center) * (x[row.at(j)] * factor - center);
        square = row.sum(square) / rows.size;
        // Where squares overflowed (or underflowed, without eps), scale the row and start again. The whole block starts
        // again, since its sums need all threads.
        __shared__ int again;
        if (!threadIdx.x) again = 0;
        __syncthreads();
        bool large = !(square - square == 0), tiny = eps == 0 && square < (sizeof(T) == 4 ? (T)1e-24 : (T)1e-276);
        if (!turn && row.n && (large || tiny)) {
            factor = large ? shrink : 1 / shrink;
            again = 1;
        }
        __syncthreads();
        if (!again) break;
    }
    T scale = 1 / sqrt(square + eps * factor * factor);
    if (row.is_first()) {
        if (mean) mean[row.number] = center / factor;
        if (var) var[row.number] = square / factor / factor;
        rstd[row.number] = scale * factor;
    }
    EACH(j) {
        I k = whole ? row.number : j;
        T h = (x[row.at(j)] * factor - center) * scale;
        if (weight) h *= weight[k];
        out[row.at(j)] = bias ? h + bias[k] : h;
    }
}

// With `whole`, the gradients of weight and bias are sums over the row.
extern "C" __launch_bounds__(1024) __global__ void
standardize_grad(Rows rows, const T* g, const T* x, const T* mean, const T* rstd, const T* weight, T* dx, T* dweight,
                 T* dbias, I whole) {
    Row row(rows);
    T center = mean ? mean[row.number] : 0, scale = rstd[row.number], sum = 0, dot = 0;
    EACH(j) {
        T u = weight && !whole ? g[row.at(j)] * weight[j] : g[row.at(j)];
        sum += u;
        dot += u * (x[row.at(j)] - center) * scale;
    }
    sum = row.sum(sum);
    dot = row.sum(dot);
    if (row.is_first() && dweight) dweight[row.number] = dot;
    if (row.is_first() && dbias) dbias[row.number] = sum;
    sum = mean ? sum / rows.size : 0;
    dot /= rows.size;
    T factor = weight && whole ? scale * weight[row.number] : scale;
    EACH(j) {
        T u = weight && !whole ? g[row.at(j)] * weight[j] : g[row.at(j)];
        dx[row.at(j)] = factor * (u - sum - (x[row.at(j)] - center) * scale * dot);
    }
}

extern "C" __global__ void
running(I n, T* mean, T* var, const T* batch_mean, const T* batch_var, T share, T factor) {
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if (mean) mean[i] = mean[i] * (1 - share) + batch_mean[i] * share;
    if (var) var[i] = var[i] * (1 - share) + batch_var[i] * factor * share;
}

// The gradients of a weight and a bias. A row holds the elements of all samples that one weight multiplies.
extern "C" __launch_bounds__(1024) __global__ void
sums(Rows rows, const T* g, const T* x, const T* mean, const T* rstd, T* dweight, T* dbias) {
    Row row(rows);
    T sum = 0, dot = 0;
    EACH(j) {
        I k = row.at(j);
        sum += g[k];
        dot += g[k] * (mean ? x[k] - mean[j] : x[k]) * rstd[j];
    }
    sum = row.sum(sum);
    dot = row.sum(dot);
    if (!row.is_first()) return;
    dweight[row.number] = dot;
    if (dbias) dbias[row.number] = sum;
}
""",
)


def _norm(x: Array, weight: Array | None, bias: Array | None, n: int, eps: float, centered: bool) -> tuple[Any, ...]:
    """Layer norm and RMS norm over the last ``n`` axes."""
    out = cupy.empty(x.shape, x.dtype)
    rstd = cupy.empty(x.shape[: x.ndim - n] + (1,) * n, x.dtype)
    mean = cupy.empty(rstd.shape, x.dtype) if centered else None
    launch_rows(_SOURCE, "standardize", trailing(x.shape, n), x, weight, bias, out, mean, None, rstd, float(eps), False)
    return out, mean, rstd


def _norm_grad(g: Array, x: Array, mean: Array | None, rstd: Array, weight: Array | None, n: int) -> tuple[Any, ...]:
    """The gradients of layer norm and RMS norm.

    Those of weight and bias are sums over all rows, so they take a launch of their own.
    """
    dx = cupy.empty(x.shape, x.dtype)
    rows = trailing(x.shape, n)
    launch_rows(_SOURCE, "standardize_grad", rows, g, x, mean, rstd, weight, dx, None, None, False)
    if weight is None:
        return dx, None, None
    dweight = cupy.empty(weight.shape, x.dtype)
    dbias = None if mean is None else cupy.empty(weight.shape, x.dtype)
    launch_rows(_SOURCE, "sums", along((rows.total, rows.size), 0), g, x, mean, rstd, dweight, dbias)
    return dx, dweight, dbias


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, n: int, eps: float
) -> tuple[Array, Array | None, Array]:
    return _norm(x, weight, bias, n, eps, centered=True)


def layer_norm_grad(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, n: int) -> tuple[Any, ...]:
    return _norm_grad(g, x, mean, rstd, weight, n)


def rms_norm(x: Array, weight: Array | None, n: int, eps: float) -> tuple[Array, Array]:
    out, _, rstd = _norm(x, weight, None, n, eps, centered=False)
    return out, rstd


def rms_norm_grad(g: Array, x: Array, rstd: Array, weight: Array | None, n: int) -> tuple[Any, ...]:
    return _norm_grad(g, x, None, rstd, weight, n)[:2]


def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array, Array]:
    out = cupy.empty(x.shape, x.dtype)
    mean, var, rstd = (cupy.empty(x.shape[1:2], x.dtype) for _ in range(3))
    launch_rows(_SOURCE, "standardize", channels(x.shape), x, weight, bias, out, mean, var, rstd, float(eps), True)
    return out, mean, var, rstd


def batch_norm_grad(g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None) -> tuple[Any, ...]:
    dx = cupy.empty(x.shape, x.dtype)
    dweight, dbias = (None if weight is None else cupy.empty(weight.shape, x.dtype) for _ in range(2))
    launch_rows(_SOURCE, "standardize_grad", channels(x.shape), g, x, mean, rstd, weight, dx, dweight, dbias, True)
    return dx, dweight, dbias


def running_moments(
    mean: Array | None, var: Array | None, batch_mean: Array, batch_var: Array, share: Any, factor: float
) -> tuple[Array | None, Array | None]:
    """Update the running mean and variance in place."""
    if not isinstance(share, float) or any(a is not None and not a.flags.c_contiguous for a in (mean, var)):
        mean, var = call_plain("running_moments", mean, var, batch_mean, batch_var, share, factor)
        return mean, var
    _SOURCE.launch_threads(batch_mean.size, "running", mean, var, batch_mean, batch_var, share, float(factor))
    return mean, var


OVERRIDES = overrides(
    layer_norm, layer_norm_grad, rms_norm, rms_norm_grad, batch_norm, batch_norm_grad, running_moments
)
