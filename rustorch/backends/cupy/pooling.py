"""Pooling: a thread for each window. In a gradient, a thread for each input, which sums over the windows it is in."""

from __future__ import annotations

from math import prod

import cupy

from ..base import Array
from ..kernels.pooling import Windows
from .launch import Source, call_plain, overrides
from .windows import WINDOWS, fold, sizes, three

_SOURCE = Source(
    WINDOWS,
    """
// Which value of each window is the largest. The numbers are bytes, or integers where a window has more values.
struct Which {
    const unsigned char* few;
    const int* many;
    __device__ I operator[](I i) const { return few ? few[i] : many[i]; }
};

// Where window i has value number k.
__device__ I position(Windows w, I i, I k) {
    I oc = digit(i, w.c.out), ob = digit(i, w.b.out), oa = digit(i, w.a.out);
    I kc = digit(k, w.c.kernel), kb = digit(k, w.b.kernel), ka = digit(k, w.a.kernel);
    return at_in(w, 0, place(w.a, oa, ka), place(w.b, ob, kb), place(w.c, oc, kc));
}

extern "C" __global__ void max_pool(I n, Windows w, const T* x, T* best, unsigned char* few, int* many) {
    I i = thread_number(), plane = i, best_k = -1;
    if (i >= n) return;
    I oc = digit(plane, w.c.out), ob = digit(plane, w.b.out), oa = digit(plane, w.a.out);
    T top = log((T)0);
    for (I ka = 0; ka < w.a.kernel; ka++) for (I kb = 0; kb < w.b.kernel; kb++) for (I kc = 0; kc < w.c.kernel; kc++) {
        I a = place(w.a, oa, ka), b = place(w.b, ob, kb), c = place(w.c, oc, kc);
        if (!inside(w.a, a) || !inside(w.b, b) || !inside(w.c, c)) continue;
        T current = x[at_in(w, plane, a, b, c)];
        if (best_k >= 0 && !(current > top) && current == current) continue;  // nan is larger than everything
        top = current;
        best_k = at_kernel(w, 0, ka, kb, kc);
    }
    best[i] = top;
    if (few) few[i] = best_k; else many[i] = best_k;
}

extern "C" __global__ void max_pool_indices(I n, Windows w, const unsigned char* few, const int* many, int* out) {
    I i = thread_number();
    Which which = {few, many};
    if (i < n) out[i] = position(w, i, which[i]);
}

extern "C" __global__ void
max_pool_gather(I n, Windows w, const T* x, const unsigned char* few, const int* many, T* out) {
    I i = thread_number(), windows = w.a.out * w.b.out * w.c.out, places = w.a.size * w.b.size * w.c.size;
    Which which = {few, many};
    if (i < n) out[i] = x[i / windows * places + position(w, i, which[i])];
}

extern "C" __global__ void max_pool_grad(I n, Windows w, const T* g, const unsigned char* few, const int* many, T* dx) {
    I i = thread_number(), plane = i;
    if (i >= n) return;
    I c = digit(plane, w.c.size), b = digit(plane, w.b.size), a = digit(plane, w.a.size), own = at_in(w, 0, a, b, c);
    Which which = {few, many};
    T sum = 0;
    REACHING(oa, w.a, a) REACHING(ob, w.b, b) REACHING(oc, w.c, c) {
        I o = at_out(w, plane, oa, ob, oc);
        if (position(w, o, which[o]) == own) sum += g[o];
    }
    dx[i] = sum;
}

extern "C" __global__ void avg_pool(I n, Windows w, const T* x, T* out, T divisor) {
    I i = thread_number(), plane = i;
    if (i >= n) return;
    I oc = digit(plane, w.c.out), ob = digit(plane, w.b.out), oa = digit(plane, w.a.out);
    T sum = 0;
    for (I ka = 0; ka < w.a.kernel; ka++) for (I kb = 0; kb < w.b.kernel; kb++) for (I kc = 0; kc < w.c.kernel; kc++) {
        I a = place(w.a, oa, ka), b = place(w.b, ob, kb), c = place(w.c, oc, kc);
        if (inside(w.a, a) && inside(w.b, b) && inside(w.c, c)) sum += x[at_in(w, plane, a, b, c)];
    }
    out[i] = sum / divisor;
}
""",
)


def _shape(like: Array, windows: Windows, field: str) -> tuple[int, ...]:
    lead: tuple[int, ...] = like.shape[: like.ndim - len(windows)]
    return lead + sizes(windows, field)


def _which(which: Array) -> tuple[Array | None, Array | None]:
    """(which, None) for bytes, (None, which) for integers: the arguments `few` and `many` of the sources."""
    return (which, None) if which.dtype == "uint8" else (None, which.astype("int32", copy=False))


def max_pool(x: Array, windows: Windows) -> tuple[Array, Array]:
    best = cupy.empty(_shape(x, windows, "out"), x.dtype)
    which = cupy.empty(best.shape, "uint8" if prod(sizes(windows, "kernel")) <= 256 else "int32")
    _SOURCE.launch_threads(best.size, "max_pool", three(windows), x, best, *_which(which))
    return best, which


def max_pool_indices(which: Array, windows: Windows) -> Array:
    if not which.size or len(windows) > 3 or prod(sizes(windows, "size")) >= 2**31:
        return call_plain("max_pool_indices", which, windows)
    out = cupy.empty(which.shape, "int32")
    _SOURCE.launch_threads(out.size, "max_pool_indices", three(windows), *_which(which), out)
    return out


def max_pool_gather(x: Array, which: Array, windows: Windows) -> Array:
    out = cupy.empty(which.shape, x.dtype)
    _SOURCE.launch_threads(out.size, "max_pool_gather", three(windows), x, *_which(which), out)
    return out


def max_pool_grad(g: Array, which: Array, windows: Windows) -> Array:
    dx = cupy.empty(_shape(g, windows, "size"), g.dtype)
    _SOURCE.launch_threads(dx.size, "max_pool_grad", three(windows), g, *_which(which), dx)
    return dx


def avg_pool(x: Array, windows: Windows, divisor: float) -> Array:
    has_bins = any(not w.stride for w in windows)  # `place` counts the last value of some bins twice
    # large windows side by side are sums along axes, for which one thread a window would be too few
    is_large = prod(sizes(windows, "kernel")) > 256 and all(w.tiles for w in windows)
    if has_bins or is_large:
        return call_plain("avg_pool", x, windows, divisor)
    out = cupy.empty(_shape(x, windows, "out"), x.dtype)
    _SOURCE.launch_threads(out.size, "avg_pool", three(windows), x, out, float(divisor))
    return out


def avg_pool_grad(g: Array, windows: Windows, divisor: float) -> Array:
    return fold(g, windows, cupy.empty(_shape(g, windows, "size"), g.dtype), alike=True, divisor=divisor)


OVERRIDES = {
    **overrides(max_pool, max_pool_gather, max_pool_grad, avg_pool, avg_pool_grad),
    "max_pool_indices": max_pool_indices,
}
