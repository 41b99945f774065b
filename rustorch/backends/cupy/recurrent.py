"""RNN, LSTM and GRU: for each step, one product of cuBLAS and one launch for everything else.

The launches write into arrays that are made once for the whole sequence. In the backward pass, a launch also copies the
state before its step. So one product over all steps gives the gradient of the recurrent weight. A step that starts from
zeros (None) needs no product, and no gradient of its first state.
"""

from __future__ import annotations

import cupy

from ..base import Array
from .launch import Source, overrides, product

_SOURCE = Source(
    """
// The strides of an array that may repeat its values along an axis.
struct Strides { I step, sample, unit; };
#define AT(x) x[t * x##_strides.step + sample * x##_strides.sample + unit * x##_strides.unit]

// There is a thread for each unit of each sample: number i of n. In step t, it treats one element of an array (steps,
// batch, width), at `place`, and `count` elements of an array (steps, batch, count * width) such as the gates. These
// are `width` apart. The first of them is at `gate`, or at `own` in an array of one step.
#define UNIT(count)                                                       \\
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x;                       \\
    if (i >= n) return;                                                   \\
    I sample = i / width, unit = i % width, place = t * n + i;            \\
    I own = count * sample * width + unit, gate = count * t * n + own;

__device__ T sigmoid(T x) {
    T e = exp(-fabs(x));
    return (x >= 0 ? (T)1 : e) / ((T)1 + e);
}

// `product` is null for a step that starts from zeros. For `rnn`, it may be the memory of the result.
extern "C" __global__ void rnn(I n, I width, I t, const T* z, const T* product, I rectify, T* out) {
    UNIT(1)
    T x = z[gate] + (product ? product[i] : 0);
    out[place] = !rectify ? tanh(x) : x <= 0 ? (T)0 : x;
}

// For all gradients: `back` is the part of the state's gradient that comes from the next step, or null. `h` is the
// state before this step, or null for zeros. It is copied to `starts`.
extern "C" __global__ void
rnn_grad(I n, I width, I t, const T* g, Strides g_strides, const T* back, const T* h, const T* out, I rectify, T* dz,
         T* starts) {
    UNIT(1)
    T dh = AT(g) + (back ? back[i] : 0), y = out[place];
    dz[gate] = dh * (rectify ? (T)(y > 0) : 1 - y * y);
    starts[place] = h ? h[i] : 0;
}

// `c` is the cell before this step, or null. `cell` is the cell after it, and may be the same array. `hidden` is the
// hidden state of this step.
extern "C" __global__ void
lstm(I n, I width, I t, const T* z, const T* product, const T* c, T* gates, T* cells, T* squashed, T* cell,
     T* hidden) {
    UNIT(4)
    z += gate, gates += gate;
    T sums[4];
    for (I k = 0; k < 4; k++) sums[k] = z[k * width] + (product ? product[own + k * width] : 0);
    T in = sigmoid(sums[0]), forget = sigmoid(sums[1]), fresh = tanh(sums[2]), open = sigmoid(sums[3]);
    T after = (c ? forget * c[i] : 0) + in * fresh, s = tanh(after);
    gates[0] = in, gates[width] = forget, gates[2 * width] = fresh, gates[3 * width] = open;
    cells[place] = cell[i] = after;
    squashed[place] = s;
    hidden[i] = open * s;
}

// `dc` is the gradient of the cell after this step. `before` is that of the cell before it, and may be the same array.
// With a projection, `g` is the gradient of the hidden state before the projection, and this hidden state is written to
// `projected`. A state has `size` elements.
extern "C" __global__ void
lstm_grad(I n, I width, I t, const T* g, Strides g_strides, const T* back, const T* dc, Strides dc_strides,
          const T* c, const T* h, I size, const T* gates, const T* squashed, T* dz, T* before, T* starts,
          T* projected) {
    UNIT(4)
    gates += gate, dz += gate;
    T in = gates[0], forget = gates[width], fresh = gates[2 * width], open = gates[3 * width], s = squashed[place];
    T dh = AT(g) + (back ? back[i] : 0), d = AT(dc) + dh * open * (1 - s * s);
    dz[0] = d * fresh * in * (1 - in);
    dz[width] = c ? d * c[i] * forget * (1 - forget) : 0;
    dz[2 * width] = d * in * (1 - fresh * fresh);
    dz[3 * width] = dh * s * open * (1 - open);
    before[i] = d * forget;
    for (I j = unit; j < size; j += width) starts[place / width * size + j] = h ? h[sample * size + j] : 0;
    if (projected) projected[place] = open * s;
}

extern "C" __global__ void
gru(I n, I width, I t, const T* z, const T* product, const T* bias, const T* h, T* gates, T* products, T* out) {
    UNIT(3)
    z += gate, gates += gate;
    T sums[3];
    for (I k = 0; k < 3; k++) sums[k] = (product ? product[own + k * width] : 0) + (bias ? bias[k * width + unit] : 0);
    T reset = sigmoid(z[0] + sums[0]), update = sigmoid(z[width] + sums[1]), d = sums[2];
    T fresh = tanh(z[2 * width] + reset * d);
    gates[0] = reset, gates[width] = update, gates[2 * width] = fresh;
    products[place] = d;
    out[place] = fresh + update * ((h ? h[i] : 0) - fresh);
}

// `d` is the gradient of the product with its bias. `before` is the part of the gradient of the state before this step
// that does not come through the product. It may be the same array as `back`.
extern "C" __global__ void
gru_grad(I n, I width, I t, const T* g, Strides g_strides, const T* back, const T* h, const T* gates,
         const T* products, T* dz, T* d, T* before, T* starts) {
    UNIT(3)
    gates += gate, dz += gate, d += gate;
    T reset = gates[0], update = gates[width], fresh = gates[2 * width], dh = AT(g) + (back ? back[i] : 0);
    T of_fresh = dh * (1 - update) * (1 - fresh * fresh), start = h ? h[i] : 0;
    dz[0] = d[0] = of_fresh * products[place] * reset * (1 - reset);
    dz[width] = d[width] = dh * (start - fresh) * update * (1 - update);
    dz[2 * width] = of_fresh;
    d[2 * width] = of_fresh * reset;
    before[i] = dh * update;
    starts[place] = start;
}
"""
)


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _before(first: Array | None, states: Array, t: int, reverse: bool) -> Array | None:
    """The state that step t starts from. ``first`` is the state before all steps, ``states`` are those after them."""
    t += 1 if reverse else -1
    return states[t] if 0 <= t < states.shape[0] else first


def _contiguous(*arrays: Array | None) -> list[Array]:
    """Copy what is not contiguous. Otherwise every launch and product would copy it again."""
    return [None if a is None else cupy.ascontiguousarray(a) for a in arrays]


def _gradient(g: Array) -> tuple[Array, tuple[int, ...]]:
    """A contiguous gradient, and its strides along steps, samples and units.

    A stride is 0 where the gradient repeats its values, as the gradient of a sum does.
    """
    once = tuple([slice(0, 1) if stride == 0 else slice(None) for stride in g.strides])
    values = cupy.ascontiguousarray(g[once])
    strides = [stride // values.itemsize for stride in cupy.broadcast_to(values, g.shape).strides]
    return values, (*[0] * (3 - len(strides)), *strides)


def _recurrent(h: Array | None, w_hh: Array, out: Array) -> Array | None:
    """The product of a step's state and the recurrent weight, or None if the step starts from zeros."""
    return None if h is None else product(h, w_hh.T, out)


def _weight_grad(d: Array, x: Array) -> Array:
    """The gradient of a weight over all steps: ``d`` is the gradient of its products, ``x`` the other factor."""
    return product(d.reshape(-1, d.shape[-1]).T, x.reshape(-1, x.shape[-1]))


def rnn_steps(z: Array, h: Array | None, w_hh: Array, reverse: bool, nonlinearity: str) -> Array:
    z, w_hh = _contiguous(z, w_hh)
    out = cupy.empty(z.shape, z.dtype)
    for t in _order(z.shape[0], reverse):
        step = out[t]
        _SOURCE.launch_threads(
            step.size, "rnn", step.shape[1], t, z, _recurrent(h, w_hh, step), nonlinearity == "relu", out
        )
        h = step
    return out


def rnn_steps_grad(
    g: Array, h: Array | None, w_hh: Array, out: Array, reverse: bool, nonlinearity: str
) -> tuple[Array, Array | None, Array]:
    h, w_hh, out = _contiguous(h, w_hh, out)
    g, strides = _gradient(g)
    dz, starts = cupy.empty(out.shape, out.dtype), cupy.empty(out.shape, out.dtype)
    back = None
    for t in _order(out.shape[0], not reverse):
        start = _before(h, out, t, reverse)
        _SOURCE.launch_threads(
            out[t].size, "rnn_grad", out.shape[2], t, g, strides, back, start, out, nonlinearity == "relu", dz, starts
        )
        back = None if start is None else product(dz[t], w_hh, back)
    return dz, back, _weight_grad(dz, starts)


def lstm_steps(
    z: Array, h: Array | None, c: Array | None, w_hh: Array, w_hr: Array | None, reverse: bool
) -> tuple[Array, ...]:
    z, w_hh, w_hr = _contiguous(z, w_hh, w_hr)
    (steps, batch, columns), dtype = z.shape, z.dtype
    width = columns // 4
    out = cupy.empty((steps, batch, w_hh.shape[1]), dtype)
    gates, recurrent = cupy.empty(z.shape, dtype), cupy.empty(z.shape[1:], dtype)
    cells, squashed = (cupy.empty((steps, batch, width), dtype) for _ in range(2))
    cell = cupy.empty((batch, width), dtype)
    hidden = None if w_hr is None else cupy.empty(cell.shape, dtype)
    for t in _order(steps, reverse):
        state_product = _recurrent(h, w_hh, recurrent)
        h = out[t]
        _SOURCE.launch_threads(
            cell.size,
            "lstm",
            width,
            t,
            z,
            state_product,
            c,
            gates,
            cells,
            squashed,
            cell,
            h if hidden is None else hidden,
        )
        if w_hr is not None:
            product(hidden, w_hr.T, h)
        c = cell
    return out, cell, gates, cells, squashed


def lstm_steps_grad(
    g: Array,
    g_cell: Array,
    h: Array | None,
    c: Array | None,
    w_hh: Array,
    w_hr: Array | None,
    out: Array,
    gates: Array,
    cells: Array,
    squashed: Array,
    reverse: bool,
) -> tuple[Array, Array | None, Array | None, Array, Array | None]:
    h, c, w_hh, w_hr, out, gates, cells, squashed = _contiguous(h, c, w_hh, w_hr, out, gates, cells, squashed)
    width, dtype = cells.shape[2], gates.dtype
    dz, starts, before = (cupy.empty(shape, dtype) for shape in (gates.shape, out.shape, cells.shape[1:]))
    dc, dc_strides = _gradient(g_cell)
    back: Array | None = None
    projected: Array | None = None
    if w_hr is None:
        dh, dh_strides = _gradient(g)
    else:
        totals = g.copy()  # the gradients of the states, to which each next step adds its part
        projected = cupy.empty(cells.shape, dtype)
        dh, dh_strides = cupy.empty(before.shape, dtype), (0, width, 1)
    order = _order(out.shape[0], not reverse)
    for t in order:
        if w_hr is not None:
            product(totals[t], w_hr, dh)
        start = _before(h, out, t, reverse)
        _SOURCE.launch_threads(
            before.size,
            "lstm_grad",
            width,
            t,
            dh,
            dh_strides,
            back,
            dc,
            dc_strides,
            _before(c, cells, t, reverse),
            start,
            out.shape[2],
            gates,
            squashed,
            dz,
            before,
            starts,
            projected,
        )
        dc, dc_strides = before, (0, width, 1)
        if w_hr is None or t == order[-1]:
            back = None if start is None else product(dz[t], w_hh, back)
        else:
            product(dz[t], w_hh, totals[t + order.step], keep=1.0)
    dw_hr = None if w_hr is None else _weight_grad(totals, projected)
    return dz, back, None if c is None else before, _weight_grad(dz, starts), dw_hr


def gru_steps(z: Array, h: Array | None, w_hh: Array, b_hh: Array | None, reverse: bool) -> tuple[Array, Array, Array]:
    z, w_hh, b_hh = _contiguous(z, w_hh, b_hh)
    gates, recurrent = cupy.empty(z.shape, z.dtype), cupy.empty(z.shape[1:], z.dtype)
    out, products = (cupy.empty((*z.shape[:2], z.shape[2] // 3), z.dtype) for _ in range(2))
    for t in _order(z.shape[0], reverse):
        step = out[t]
        _SOURCE.launch_threads(
            step.size, "gru", step.shape[1], t, z, _recurrent(h, w_hh, recurrent), b_hh, h, gates, products, out
        )
        h = step
    return out, gates, products


def gru_steps_grad(
    g: Array, h: Array | None, w_hh: Array, b_hh: Array | None, out: Array, gates: Array, products: Array, reverse: bool
) -> tuple[Array, Array | None, Array, Array | None]:
    h, w_hh, out, gates, products = _contiguous(h, w_hh, out, gates, products)
    g, strides = _gradient(g)
    dz, d, starts, before = (
        cupy.empty(shape, gates.dtype) for shape in (gates.shape, gates.shape, out.shape, out.shape[1:])
    )
    back = None
    for t in _order(out.shape[0], not reverse):
        start = _before(h, out, t, reverse)
        _SOURCE.launch_threads(
            before.size, "gru_grad", out.shape[2], t, g, strides, back, start, gates, products, dz, d, before, starts
        )
        back = None if start is None else product(d[t], w_hh, before, keep=1.0)
    return dz, back, _weight_grad(d, starts), None if b_hh is None else d.sum(axis=(0, 1))


OVERRIDES = overrides(rnn_steps, rnn_steps_grad, lstm_steps, lstm_steps_grad, gru_steps, gru_steps_grad)
