"""RNN, LSTM and GRU: all steps in one compiled loop, the products included.

What a step computes is traced from the plain versions. Each thread runs all steps for its part of the batch, so the
threads never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from ..kernels import recurrent as plain
from ..numpy import linear as numpy_linear
from . import linear
from .kernel import flat
from .processor import tile_width
from .recurrence import Part, Recurrence, Row, run

if TYPE_CHECKING:
    from ..base import Array, Namespace


# -- what a step computes, after the product ---------------------------------------------------------------------------
def _rnn_tanh(xp: Namespace, z: Any, a: Any) -> Any:
    return (xp.tanh(z + a),)


def _rnn_relu(xp: Namespace, z: Any, a: Any) -> Any:
    return (xp.relu(z + a),)


def _rnn_grad(nonlinearity: str) -> Callable[..., Any]:
    return lambda xp, g, back, out: ((g + back) * plain.rnn_slope(xp, out, nonlinearity),)


def _lstm(xp: Namespace, *values: Any) -> Any:
    """The parts of z and of the product, and the cell state."""
    i, f, m, o = [z + a for z, a in zip(values[:4], values[4:8], strict=True)]
    return plain.lstm_cell(xp, i, f, m, o, values[8])


def _lstm_grad(xp: Namespace, g: Any, back: Any, dc: Any, i: Any, f: Any, m: Any, o: Any, before: Any, s: Any) -> Any:
    """The gradients of the four sums, and that of the cell state before the step."""
    k_i, k_f, k_m, k_o, slope = plain.lstm_slopes(xp, i, f, m, o, before, s)
    dh = g + back
    dc = dc + dh * slope
    return dc * k_i, dc * k_f, dc * k_m, dh * k_o, dc * f


def _gru(xp: Namespace, *values: Any) -> Any:
    """The parts of z and of the product, and the state. The third part of the product is returned, too."""
    z_r, z_u, z_n, a, b, d, h = values
    r, u, n, h = plain.gru_cell(xp, z_r + a, z_u + b, z_n, d, h)
    return r, u, n, d, h


def _gru_biased(xp: Namespace, *values: Any) -> Any:
    """As `_gru`, with the parts of a bias for the product at the end."""
    return _gru(xp, *values[:3], *[a + b for a, b in zip(values[3:6], values[7:], strict=True)], values[6])


def _gru_grad(xp: Namespace, g: Any, back: Any, part: Any, r: Any, u: Any, n: Any, d: Any, before: Any) -> Any:
    """The gradients of z and of the product, and the part of that of the state that skips the product."""
    k_r, k_u, k_n = plain.gru_slopes(xp, r, u, n, d, before)
    dh = g + (back + part)
    dz_r, dz_u, dz_n = dh * k_r, dh * k_u, dh * k_n
    return dz_r, dz_u, dz_n, dz_r, dz_u, dz_n * r, dh * u


_ONE, _THREE, _FOUR = Part(1), Part(3), Part(4)
_PRODUCT, _PRODUCTS, _GATES = (Part(parts, is_product=True) for parts in (1, 3, 4))
_RNN = {
    name: Recurrence(cell, (_ONE, _PRODUCT), (_ONE,), f"rnn_{name}", product=1, state=2)
    for name, cell in (("tanh", _rnn_tanh), ("relu", _rnn_relu))
}
_RNN_GRAD = {
    name: Recurrence(
        _rnn_grad(name), (_ONE, _PRODUCT, _ONE), (_ONE,), f"rnn_{name}_grad", product=1, state=3, backward=True
    )
    for name in ("tanh", "relu")
}
_LSTM = Recurrence(_lstm, (_FOUR, _GATES, _ONE), (_FOUR, _ONE, _ONE, _ONE), "lstm", product=1, state=6, before=2)
_LSTM_GRAD = Recurrence(
    _lstm_grad, (_ONE, _PRODUCT, _ONE, _FOUR, _ONE, _ONE), (_FOUR, _ONE), "lstm_grad", product=1, state=6, before=4,
    backward=True,
)  # fmt: skip
_GRU = Recurrence(_gru, (_THREE, _PRODUCTS, _ONE), (_THREE, _ONE, _ONE), "gru", product=1, state=5, before=2)
_GRU_BIASED = Recurrence(
    _gru_biased, (_THREE, _PRODUCTS, _ONE, Part(3, False)), (_THREE, _ONE, _ONE), "gru_biased", product=1, state=6,
    before=2,
)  # fmt: skip
_GRU_GRAD = Recurrence(
    _gru_grad, (_ONE, _PRODUCT, _ONE, _THREE, _ONE, _ONE), (_THREE, _THREE, _ONE), "gru_grad", product=1, state=7,
    before=5, backward=True,
)  # fmt: skip


# -- sequences ---------------------------------------------------------------------------------------------------------
def _columns(count: int, dtype: Any) -> int:
    """The columns of products: as many as whole tiles have."""
    width = tile_width(dtype.itemsize)
    return -(-count // width) * width


def _start(state: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
    """The state before the first step: ``state``, or zeros for None."""
    return numpy.zeros(shape, dtype) if state is None else flat(state)


def _order(steps_: int, batch: int, backwards: bool) -> tuple[int, int]:
    """The row of the step that comes first, and how many rows the next step is further on."""
    return ((steps_ - 1) * batch, -batch) if backwards else (0, batch)


def _fit(width: int, batch: int, parts: int, w_hh: Array, *states: Array | None, bias: Array | None = None) -> bool:
    """Whether weight, states and bias have the shapes that the steps need. Else NumPy explains or broadcasts."""
    return (
        w_hh.shape == (parts * width, width)
        and all(state is None or state.shape == (batch, width) for state in states)
        and (bias is None or bias.shape == (parts * width,))
    )


def _grad_weight(d: Array, h: Array | None, out: Array, reverse: bool) -> Array:
    """The gradient of the recurrent weight, from that of its products. ``h`` is the state before the first step."""
    total = linear_grad_weight(*((d[:-1], out[1:]) if reverse else (d[1:], out[:-1])))
    if h is not None:
        total += linear_grad_weight(d[-1 if reverse else 0], h)
    return total


def linear_grad_weight(g: Array, x: Array) -> Array:
    """The compiled product, or NumPy's."""
    out = linear.linear_grad_weight(g, x)
    return numpy_linear.linear_grad_weight(g, x) if out is NotImplemented else out


def lstm_steps(z: Array, h: Array | None, c: Array | None, w_hh: Array, w_hr: Array | None, reverse: bool) -> Any:
    dtype = z.dtype
    count, batch, columns = z.shape
    width = columns // 4
    found = _LSTM.of(dtype, z.size) if w_hr is None and z.size else None
    if found is None or not _fit(width, batch, 4, w_hh, h, c):
        return NotImplemented
    z, c = flat(z), _start(c, (batch, width), dtype)
    gates, product = numpy.empty(z.shape, dtype), numpy.empty((batch, _columns(columns, dtype)), dtype)
    cells, squashed, out = (numpy.empty((count, batch, width), dtype) for _ in range(3))
    order = start, step = _order(count, batch, reverse)
    arrays = [Row(z, *order), Row(product), Row(cells, start - step, step)]
    arrays += [Row(a, *order) for a in (gates, cells, squashed, out)]
    run(found, arrays, c, None if h is None else flat(h), w_hh.T, count, batch, width)
    return out, cells[0 if reverse else -1].copy(), gates, cells, squashed


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
) -> Any:
    dtype = gates.dtype
    count, batch, width = cells.shape
    found = _LSTM_GRAD.of(dtype, gates.size) if w_hr is None and gates.size else None
    if found is None or not _fit(width, batch, 4, w_hh, h, c):
        return NotImplemented
    g, gates, cells, squashed = flat(g), flat(gates), flat(cells), flat(squashed)
    dz, dc = numpy.empty(gates.shape, dtype), numpy.array(g_cell, dtype, order="C")
    back = numpy.zeros((batch, _columns(width, dtype)), dtype)
    order = start, step = _order(count, batch, not reverse)
    arrays = [Row(g, *order), Row(back), Row(dc), Row(gates, *order), Row(cells, start + step, step)]
    arrays += [Row(squashed, *order), Row(dz, *order), Row(dc)]
    run(found, arrays, _start(c, (batch, width), dtype), h, w_hh, count, batch, width)
    dh_first, dc_first = None if h is None else back[:, :width].copy(), None if c is None else dc
    return dz, dh_first, dc_first, _grad_weight(dz, h, out, reverse), None


def gru_steps(z: Array, h: Array | None, w_hh: Array, b_hh: Array | None, reverse: bool) -> Any:
    dtype = z.dtype
    count, batch, columns = z.shape
    width = columns // 3
    found = (_GRU if b_hh is None else _GRU_BIASED).of(dtype, z.size) if z.size else None
    if found is None or not _fit(width, batch, 3, w_hh, h, bias=b_hh):
        return NotImplemented
    z, first, bias = flat(z), _start(h, (batch, width), dtype), [] if b_hh is None else [Row(flat(b_hh))]
    gates, product = numpy.empty(z.shape, dtype), numpy.empty((batch, _columns(columns, dtype)), dtype)
    products, out = (numpy.empty((count, batch, width), dtype) for _ in range(2))
    order = start, step = _order(count, batch, reverse)
    arrays = [Row(z, *order), Row(product), Row(out, start - step, step), *bias]
    arrays += [Row(a, *order) for a in (gates, products, out)]
    run(found, arrays, first, None if h is None else first, w_hh.T, count, batch, width)
    return out, gates, products


def gru_steps_grad(
    g: Array, h: Array | None, w_hh: Array, b_hh: Array | None, out: Array, gates: Array, products: Array, reverse: bool
) -> Any:
    dtype = gates.dtype
    count, batch, width = out.shape
    found = _GRU_GRAD.of(dtype, gates.size) if gates.size else None
    if found is None or not _fit(width, batch, 3, w_hh, h, bias=b_hh):
        return NotImplemented
    g, gates, products, states = flat(g), flat(gates), flat(products), flat(out)
    dz, d = numpy.empty(gates.shape, dtype), numpy.empty(gates.shape, dtype)
    back, part = numpy.zeros((batch, _columns(width, dtype)), dtype), numpy.zeros((batch, width), dtype)
    order = start, step = _order(count, batch, not reverse)
    arrays = [Row(g, *order), Row(back), Row(part), Row(gates, *order), Row(products, *order)]
    arrays += [Row(states, start + step, step), Row(dz, *order), Row(d, *order), Row(part)]
    run(found, arrays, _start(h, (batch, width), dtype), h, w_hh, count, batch, width)
    db_hh = None if b_hh is None else numpy.add.reduce(d, (0, 1))
    return dz, None if h is None else back[:, :width] + part, _grad_weight(d, h, out, reverse), db_hh


def rnn_steps(z: Array, h: Array | None, w_hh: Array, reverse: bool, nonlinearity: str) -> Any:
    dtype = z.dtype
    count, batch, width = z.shape
    found = _RNN[nonlinearity].of(dtype, z.size) if z.size else None
    if found is None or not _fit(width, batch, 1, w_hh, h):
        return NotImplemented
    z, out = flat(z), numpy.empty(z.shape, dtype)
    product, order = numpy.empty((batch, _columns(width, dtype)), dtype), _order(count, batch, reverse)
    arrays = [Row(z, *order), Row(product), Row(out, *order)]
    run(found, arrays, z, None if h is None else flat(h), w_hh.T, count, batch, width)
    return out


def rnn_steps_grad(g: Array, h: Array | None, w_hh: Array, out: Array, reverse: bool, nonlinearity: str) -> Any:
    dtype = out.dtype
    count, batch, width = out.shape
    found = _RNN_GRAD[nonlinearity].of(dtype, out.size) if out.size else None
    if found is None or not _fit(width, batch, 1, w_hh, h):
        return NotImplemented
    g, states, dz = flat(g), flat(out), numpy.empty(out.shape, dtype)
    back, order = numpy.zeros((batch, _columns(width, dtype)), dtype), _order(count, batch, not reverse)
    arrays = [Row(g, *order), Row(back), Row(states, *order), Row(dz, *order)]
    run(found, arrays, states, h, w_hh, count, batch, width)
    return dz, None if h is None else back[:, :width].copy(), _grad_weight(dz, h, out, reverse)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (rnn_steps, rnn_steps_grad, lstm_steps, lstm_steps_grad, gru_steps, gru_steps_grad)
}
