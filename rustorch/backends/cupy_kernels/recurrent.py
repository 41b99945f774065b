"""The recurrent steps: each is a product of cuBLAS and one launch for everything else, into arrays made once for the whole sequence.

In the backward pass, that launch also copies the state before the step, so that one product over all steps gives the gradient of the
recurrent weight.
"""

from __future__ import annotations

import cupy

from .launch import Array, Source, overrides, product

_SOURCE = Source(
    """
// The strides of an array that may repeat its values along an axis.
struct Strides { I step, sample, unit; };
#define AT(x) x[now * x##_strides.step + sample * x##_strides.sample + unit * x##_strides.unit]

// A thread for each unit of each sample: number i of n. In step `now` it has one value of an array (steps, batch, width), at `here`, and
// `count` values of an array (steps, batch, count * width), such as the gates: they are `width` apart, the first is at `gate`, or at `own`
// in an array of one step.
#define UNIT(count)                                                       \\
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x;                       \\
    if (i >= n) return;                                                   \\
    I sample = i / width, unit = i % width, here = now * n + i;           \\
    I own = count * sample * width + unit, gate = count * now * n + own;

__device__ T sigmoid(T x) {
    T e = exp(-fabs(x));
    return (x >= 0 ? (T)1 : e) / ((T)1 + e);
}

// `out` holds the product of this step.
extern "C" __global__ void rnn(I n, I width, I now, const T* z, I rectify, T* out) {
    UNIT(1)
    T x = z[gate] + out[here];
    out[here] = !rectify ? tanh(x) : x <= 0 ? (T)0 : x;
}

// For all gradients: `back` is what the step after this one adds to the gradient of the state, or null. The state before this step,
// `h`, is copied to `starts`.
extern "C" __global__ void
rnn_grad(I n, I width, I now, const T* g, Strides g_strides, const T* back, const T* h, const T* out, I rectify, T* dz, T* starts) {
    UNIT(1)
    T dh = AT(g) + (back ? back[i] : 0), y = out[here];
    dz[gate] = dh * (rectify ? (T)(y > 0) : 1 - y * y);
    starts[here] = h[i];
}

// `c` is the cell before this step; `cell`, the one after it, may be the same array. `hidden` is this step's.
extern "C" __global__ void
lstm(I n, I width, I now, const T* z, const T* product, const T* c, T* gates, T* cells, T* squashed, T* cell, T* hidden) {
    UNIT(4)
    z += gate, product += own, gates += gate;
    T in = sigmoid(z[0] + product[0]), forget = sigmoid(z[width] + product[width]);
    T fresh = tanh(z[2 * width] + product[2 * width]), open = sigmoid(z[3 * width] + product[3 * width]);
    T after = forget * c[i] + in * fresh, s = tanh(after);
    gates[0] = in, gates[width] = forget, gates[2 * width] = fresh, gates[3 * width] = open;
    cells[here] = cell[i] = after;
    squashed[here] = s;
    hidden[i] = open * s;
}

// `dc` is the gradient of the cell after this step; `before`, that of the cell before it, may be the same array. With a projection, `g` is
// the gradient of what is projected, and that itself is written to `projected`. A state has `size` values.
extern "C" __global__ void
lstm_grad(I n, I width, I now, const T* g, Strides g_strides, const T* back, const T* dc, Strides dc_strides, const T* c, const T* h,
          I size, const T* gates, const T* squashed, T* dz, T* before, T* starts, T* projected) {
    UNIT(4)
    gates += gate, dz += gate;
    T in = gates[0], forget = gates[width], fresh = gates[2 * width], open = gates[3 * width], s = squashed[here];
    T dh = AT(g) + (back ? back[i] : 0), d = AT(dc) + dh * open * (1 - s * s);
    dz[0] = d * fresh * in * (1 - in);
    dz[width] = d * c[i] * forget * (1 - forget);
    dz[2 * width] = d * in * (1 - fresh * fresh);
    dz[3 * width] = dh * s * open * (1 - open);
    before[i] = d * forget;
    for (I j = unit; j < size; j += width) starts[here / width * size + j] = h[sample * size + j];
    if (projected) projected[here] = open * s;
}

extern "C" __global__ void
gru(I n, I width, I now, const T* z, const T* product, const T* bias, const T* h, T* gates, T* products, T* out) {
    UNIT(3)
    z += gate, product += own, gates += gate;
    T a = product[0], b = product[width], d = product[2 * width];
    if (bias) a += bias[unit], b += bias[width + unit], d += bias[2 * width + unit];
    T reset = sigmoid(z[0] + a), update = sigmoid(z[width] + b), fresh = tanh(z[2 * width] + reset * d);
    gates[0] = reset, gates[width] = update, gates[2 * width] = fresh;
    products[here] = d;
    out[here] = fresh + update * (h[i] - fresh);
}

// `d` is the gradient of the product with its bias. `before` is the part of the gradient of the state before this step that does not come
// through the product; it may be the same array as `back`.
extern "C" __global__ void
gru_grad(I n, I width, I now, const T* g, Strides g_strides, const T* back, const T* h, const T* gates, const T* products, T* dz, T* d,
         T* before, T* starts) {
    UNIT(3)
    gates += gate, dz += gate, d += gate;
    T reset = gates[0], update = gates[width], fresh = gates[2 * width], dh = AT(g) + (back ? back[i] : 0);
    T of_fresh = dh * (1 - update) * (1 - fresh * fresh);
    dz[0] = d[0] = of_fresh * products[here] * reset * (1 - reset);
    dz[width] = d[width] = dh * (h[i] - fresh) * update * (1 - update);
    dz[2 * width] = of_fresh;
    d[2 * width] = of_fresh * reset;
    before[i] = dh * update;
    starts[here] = h[i];
}
"""
)


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _before(first: Array, states: Array, t: int, reverse: bool) -> Array:
    """The state that step t started from; ``first`` is the one before all steps, ``states`` are those after each."""
    t += 1 if reverse else -1
    return states[t] if 0 <= t < states.shape[0] else first


def _contiguous(*arrays: Array | None) -> list[Array]:
    """The arrays as kernels and products take them: what is not contiguous is copied once, not in each step."""
    return [None if a is None else cupy.ascontiguousarray(a) for a in arrays]


def _gradient(g: Array) -> tuple[Array, tuple[int, ...]]:
    """A contiguous gradient, and its strides along steps, samples and units: 0 where it repeats its values, as that of a sum does."""
    single = tuple([slice(0, 1) if stride == 0 else slice(None) for stride in g.strides])
    kept = cupy.ascontiguousarray(g[single])
    strides = [stride // kept.itemsize for stride in cupy.broadcast_to(kept, g.shape).strides]
    return kept, (*[0] * (3 - len(strides)), *strides)


def _weight_grad(d: Array, x: Array) -> Array:
    """The gradient of a weight over all steps, from those of its products and from what it was multiplied with."""
    return product(d.reshape(-1, d.shape[-1]).T, x.reshape(-1, x.shape[-1]))


def rnn_steps(z: Array, h: Array, w_hh: Array, reverse: bool, nonlinearity: str) -> Array:
    z, w_hh = _contiguous(z, w_hh)
    out = cupy.empty(z.shape, z.dtype)
    for t in _order(z.shape[0], reverse):
        h = product(h, w_hh.T, out[t])
        _SOURCE.over(h.size, "rnn", h.shape[1], t, z, nonlinearity == "relu", out)
    return out


def rnn_steps_grad(g: Array, h: Array, w_hh: Array, out: Array, reverse: bool, nonlinearity: str) -> tuple[Array, Array, Array]:
    h, w_hh, out = _contiguous(h, w_hh, out)
    g, strides = _gradient(g)
    dz, starts = cupy.empty(out.shape, out.dtype), cupy.empty(out.shape, out.dtype)
    back = None
    for t in _order(out.shape[0], not reverse):
        start = _before(h, out, t, reverse)
        _SOURCE.over(h.size, "rnn_grad", h.shape[1], t, g, strides, back, start, out, nonlinearity == "relu", dz, starts)
        back = product(dz[t], w_hh, back)
    return dz, back, _weight_grad(dz, starts)


def lstm_steps(z: Array, h: Array, c: Array, w_hh: Array, w_hr: Array | None, reverse: bool) -> tuple[Array, ...]:
    z, w_hh, w_hr = _contiguous(z, w_hh, w_hr)
    steps, (batch, width), dtype = z.shape[0], c.shape, z.dtype
    out, gates, recurrent = (cupy.empty(shape, dtype) for shape in ((steps, *h.shape), z.shape, z.shape[1:]))
    cells, squashed = (cupy.empty((steps, batch, width), dtype) for _ in range(2))
    cell = cupy.empty(c.shape, dtype)
    hidden = None if w_hr is None else cupy.empty(c.shape, dtype)
    for t in _order(steps, reverse):
        product(h, w_hh.T, recurrent)
        h = out[t]
        written = h if hidden is None else hidden
        _SOURCE.over(c.size, "lstm", width, t, z, recurrent, c, gates, cells, squashed, cell, written)
        if w_hr is not None:
            product(hidden, w_hr.T, h)
        c = cell
    return out, cell, gates, cells, squashed


def lstm_steps_grad(g: Array, g_cell: Array, h: Array, c: Array, w_hh: Array, w_hr: Array | None, out: Array, gates: Array,
                    cells: Array, squashed: Array, reverse: bool) -> tuple[Array, Array, Array, Array, Array | None]:  # fmt: skip
    h, c, w_hh, w_hr, out, gates, cells, squashed = _contiguous(h, c, w_hh, w_hr, out, gates, cells, squashed)
    width, dtype = c.shape[1], gates.dtype
    dz, starts, before = (cupy.empty(a.shape, dtype) for a in (gates, out, c))
    dc, dc_strides = _gradient(g_cell)
    back: Array = None
    projected: Array = None
    if w_hr is None:
        dh, dh_strides = _gradient(g)
    else:
        totals = g.copy()  # the gradients of the states; each gets what the step after it adds
        projected = cupy.empty(cells.shape, dtype)
        dh, dh_strides = cupy.empty(c.shape, dtype), (0, width, 1)
    order = _order(out.shape[0], not reverse)
    for t in order:
        if w_hr is not None:
            product(totals[t], w_hr, dh)
        _SOURCE.over(c.size, "lstm_grad", width, t, dh, dh_strides, back, dc, dc_strides, _before(c, cells, t, reverse),
                     _before(h, out, t, reverse), h.shape[1], gates, squashed, dz, before, starts, projected)  # fmt: skip
        dc, dc_strides = before, (0, width, 1)
        if w_hr is None or t == order[-1]:
            back = product(dz[t], w_hh, back)
        else:
            product(dz[t], w_hh, totals[t + order.step], keep=1.0)
    dw_hr = None if w_hr is None else _weight_grad(totals, projected)
    return dz, back, before, _weight_grad(dz, starts), dw_hr


def gru_steps(z: Array, h: Array, w_hh: Array, b_hh: Array | None, reverse: bool) -> tuple[Array, Array, Array]:
    z, w_hh, b_hh = _contiguous(z, w_hh, b_hh)
    gates, recurrent = cupy.empty(z.shape, z.dtype), cupy.empty(z.shape[1:], z.dtype)
    out, products = (cupy.empty((z.shape[0], *h.shape), z.dtype) for _ in range(2))
    for t in _order(z.shape[0], reverse):
        product(h, w_hh.T, recurrent)
        _SOURCE.over(h.size, "gru", h.shape[1], t, z, recurrent, b_hh, h, gates, products, out)
        h = out[t]
    return out, gates, products


def gru_steps_grad(g: Array, h: Array, w_hh: Array, b_hh: Array | None, out: Array, gates: Array, products: Array,
                   reverse: bool) -> tuple[Array, Array, Array, Array | None]:  # fmt: skip
    h, w_hh, out, gates, products = _contiguous(h, w_hh, out, gates, products)
    g, strides = _gradient(g)
    dz, d, starts, before = (cupy.empty(a.shape, gates.dtype) for a in (gates, gates, out, h))
    back = None
    for t in _order(out.shape[0], not reverse):
        start = _before(h, out, t, reverse)
        _SOURCE.over(h.size, "gru_grad", h.shape[1], t, g, strides, back, start, gates, products, dz, d, before, starts)
        back = product(d[t], w_hh, before, keep=1.0)
    return dz, back, _weight_grad(d, starts), None if b_hh is None else d.sum(axis=(0, 1))


OVERRIDES = overrides(rnn_steps, rnn_steps_grad, lstm_steps, lstm_steps_grad, gru_steps, gru_steps_grad)
