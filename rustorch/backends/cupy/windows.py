"""Windows of pooling and convolution on the GPU: where their values are, and the copies `unfold` and `fold`."""

from __future__ import annotations

from math import prod

import cupy

from ..base import Array
from ..kernels.pooling import Window, Windows
from .launch import Source

#: Stands for an axis that an array does not have.
NO_AXIS = Window(1, 1, 1, 1)


def three(windows: Windows) -> Windows:
    """The windows over exactly three axes. The sources take them as a struct."""
    return (NO_AXIS,) * (3 - len(windows)) + windows


def sizes(windows: Windows, field: str = "out") -> tuple[int, ...]:
    """One attribute of the windows, for each axis."""
    return tuple([getattr(window, field) for window in windows])


WINDOWS = """
struct Axis { I size, out, kernel, stride, padding, dilation; };
struct Windows { Axis a, b, c; };

__device__ I thread_number() { return (I)blockIdx.x * blockDim.x + threadIdx.x; }
// Take the last digit off a number.
__device__ I digit(I& number, I base) {
    I last = number % base;
    number /= base;
    return last;
}

// number * by / over, rounded down or up.
__device__ I scaled(I number, I by, I over) { return (long long)number * by / over; }
__device__ I scaled_up(I number, I by, I over) { return ((long long)number * by + over - 1) / over; }

// Where value k of window o is. With stride 0 the windows are the bins of adaptive pooling. A bin that is shorter than
// others has its last value twice.
__device__ I place(Axis x, I o, I k) {
    if (x.stride) return o * x.stride - x.padding + k * x.dilation;
    I p = scaled(o, x.size, x.out) + k, end = scaled_up(o + 1, x.size, x.out);
    return p < end ? p : end - 1;
}
// Which value of window o is at p, or -1.
__device__ I value(Axis x, I o, I p) {
    I from = p + x.padding - o * x.stride;
    return from >= 0 && from % x.dilation == 0 && from / x.dilation < x.kernel ? from / x.dilation : -1;
}
// The first and the last window that can have a value at p.
__device__ I first(Axis x, I p) {
    if (!x.stride) return scaled(p, x.out, x.size);
    I from = p + x.padding - (x.kernel - 1) * x.dilation;
    return from > 0 ? (from + x.stride - 1) / x.stride : 0;
}
__device__ I last(Axis x, I p) {
    I o = x.stride ? (p + x.padding) / x.stride : scaled_up(p + 1, x.out, x.size) - 1;
    return o < x.out ? o : x.out - 1;
}
__device__ bool inside(Axis x, I p) { return p >= 0 && p < x.size; }
__device__ I at_in(Windows w, I plane, I a, I b, I c) { return ((plane * w.a.size + a) * w.b.size + b) * w.c.size + c; }
__device__ I at_out(Windows w, I plane, I a, I b, I c) { return ((plane * w.a.out + a) * w.b.out + b) * w.c.out + c; }
__device__ I at_kernel(Windows w, I plane, I a, I b, I c) {
    return ((plane * w.a.kernel + a) * w.b.kernel + b) * w.c.kernel + c;
}
#define REACHING(o, axis, p) for (I o = first(axis, p); o <= last(axis, p); o++)
"""

_COPIES = Source(
    WINDOWS,
    """
// columns: (planes, kernel, out). x: (planes, size); it counts as 0 outside of its size.
extern "C" __global__ void unfold(I n, Windows w, const T* x, T* columns) {
    I i = thread_number(), plane = i;
    if (i >= n) return;
    I oc = digit(plane, w.c.out), ob = digit(plane, w.b.out), oa = digit(plane, w.a.out);
    I kc = digit(plane, w.c.kernel), kb = digit(plane, w.b.kernel), ka = digit(plane, w.a.kernel);
    I a = place(w.a, oa, ka), b = place(w.b, ob, kb), c = place(w.c, oc, kc);
    columns[i] = inside(w.a, a) && inside(w.b, b) && inside(w.c, c) ? x[at_in(w, plane, a, b, c)] : 0;
}

// The transpose of unfold: each element of x gets the sum of the columns' elements that unfold copies from it. With
// `alike`, all values of a window are equal, and columns has one number for each window: (planes, out).
extern "C" __global__ void fold(I n, Windows w, const T* columns, T* x, I alike, T divisor) {
    I i = thread_number(), plane = i;
    if (i >= n) return;
    I c = digit(plane, w.c.size), b = digit(plane, w.b.size), a = digit(plane, w.a.size);
    T sum = 0;
    REACHING(oa, w.a, a) REACHING(ob, w.b, b) REACHING(oc, w.c, c) {
        I ka = value(w.a, oa, a), kb = value(w.b, ob, b), kc = value(w.c, oc, c);
        if (ka >= 0 && kb >= 0 && kc >= 0)
            sum += columns[at_out(w, alike ? plane : at_kernel(w, plane, ka, kb, kc), oa, ob, oc)] / divisor;
    }
    x[i] = sum;
}
""",
)


def unfold(x: Array, windows: Windows) -> Array:
    """Copy what each window sees: (samples, channels, *size) to (samples, channels * kernel, out)."""
    kernel, out = prod(sizes(windows, "kernel")), prod(sizes(windows))
    columns = cupy.empty((x.shape[0], x.shape[1] * kernel, out), x.dtype)
    _COPIES.launch_threads(columns.size, "unfold", three(windows), x, columns)
    return columns


def fold(columns: Array, windows: Windows, x: Array, alike: bool = False, divisor: float = 1.0) -> Array:
    """The transpose of `unfold`, divided by ``divisor`` and written into ``x``.

    With ``alike``, ``columns`` holds one number for each window.
    """
    _COPIES.launch_threads(x.size, "fold", three(windows), columns, x, alike, float(divisor))
    return x
