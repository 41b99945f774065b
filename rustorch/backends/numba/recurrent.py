"""RNN, LSTM and GRU: in each step one product of BLAS, and one compiled loop for everything else.

The loops are traced from the plain versions of a step. Each thread runs all steps for its part of the batch, so the
threads never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from ..fusing import Loop
from ..kernels import recurrent as plain
from ..numpy.linear import linear_grad_weight
from .fusing import PYTHON
from .kernel import Kernel, flat

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: Units of a block. Its results stay on the stack until all are computed, so that LLVM need not ask which arrays
#: overlap.
_BLOCK = 256


class _Part(NamedTuple):
    """An array of a step: how many parts of ``width`` units lie side by side, and whether each sample has its own."""

    parts: int
    per_sample: bool = True


class _Step:
    """The compiled loop of a step over samples and units.

    Parameters
    ----------
    cell : callable
        ``cell(xp, *elements)``: an elementwise function of the parts of all arrays that are read. It returns the parts
        of all arrays that are written, in order.
    reads, writes : sequence of _Part
        The arrays. One that is written may also be read, at the same place.
    """

    def __init__(self, cell: Callable[..., Any], reads: Sequence[_Part], writes: Sequence[_Part], name: str):
        loop = Loop(cell, [f"e{i}" for i in range(sum(a.parts for a in reads))])
        results = loop.results(PYTHON)
        head, inside, after, element, result = [], [], [], 0, 0
        for k, (parts, per_sample) in enumerate([*reads, *writes]):
            head.append(f"k{k} = {f'(p{k} + r) * {parts} * width' if per_sample else '0'} + j")
            for part in range(parts):
                place = f"k{k} + {part} * width"
                if k < len(reads):
                    head.append(f"u{element} = a{k}[{place} : {place} + n]")
                    inside.append(f"e{element} = u{element}[i]")
                    element += 1
                else:
                    after += [f"v = a{k}[{place} : {place} + n]", "for i in range(v.size):", f"    v[i] = s{result}[i]"]
                    result += 1
        inside += [*loop.body(PYTHON), *[f"s{i}[i] = {text}" for i, text in enumerate(results)]]
        numbers = range(len(reads) + len(writes))
        text = [
            f"def step({', '.join([*[f'a{k}' for k in numbers], *[f'p{k}' for k in numbers]])}, width, start, stop):",
            *[f"    s{i} = scratch(T(0.0), {_BLOCK})" for i in range(len(results))],
            "    for r in range(start, stop):",
            f"        for j in range(0, width, {_BLOCK}):",
            f"            n = min(width - j, {_BLOCK})",
            *[f"            {line}" for line in head],
            "            for i in range(u0.size):",
            *[f"                {line}" for line in inside],
            *[f"            {line}" for line in after],
        ]
        names: dict[str, Any] = {}
        exec("\n".join(text), names)  # written above; no part of it comes from outside
        self._kernel = Kernel(names["step"], " ".join(["T[]"] * len(numbers) + ["int"] * (len(numbers) + 1)), name=name)

    def of(self, dtype: Any, size: int) -> Callable[..., None] | None:
        """The compiled loop, or None; see `Kernel.of`.

        It is called with the number of samples, 0, all arrays, the number of the first row of each one, and the width.
        """
        return self._kernel.of(dtype, size)


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


_ONE, _THREE, _FOUR = _Part(1), _Part(3), _Part(4)
_RNN = {
    "tanh": _Step(_rnn_tanh, (_ONE, _ONE), (_ONE,), "rnn_tanh"),
    "relu": _Step(_rnn_relu, (_ONE, _ONE), (_ONE,), "rnn_relu"),
}
_RNN_GRAD = {name: _Step(_rnn_grad(name), (_ONE, _ONE, _ONE), (_ONE,), f"rnn_{name}_grad") for name in ("tanh", "relu")}
_LSTM = _Step(_lstm, (_FOUR, _FOUR, _ONE), (_FOUR, _ONE, _ONE, _ONE), "lstm")
_LSTM_GRAD = _Step(_lstm_grad, (_ONE, _ONE, _ONE, _FOUR, _ONE, _ONE), (_FOUR, _ONE), "lstm_grad")
_GRU = _Step(_gru, (_THREE, _THREE, _ONE), (_THREE, _ONE, _ONE), "gru")
_GRU_BIASED = _Step(_gru_biased, (_THREE, _THREE, _ONE, _Part(3, False)), (_THREE, _ONE, _ONE), "gru_biased")
_GRU_GRAD = _Step(_gru_grad, (_ONE, _ONE, _ONE, _THREE, _ONE, _ONE), (_THREE, _THREE, _ONE), "gru_grad")


# -- sequences ---------------------------------------------------------------------------------------------------------
def _order(steps: int, reverse: bool) -> range:
    """The numbers of the steps in the order in which they are computed."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _start(state: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
    """The state before the first step: ``state``, or zeros for None."""
    return numpy.zeros(shape, dtype) if state is None else flat(state)


def _product(state: Array | None, transposed: Array, out: Array) -> None:
    """The product of a state and the recurrent weight. No product is needed for zeros."""
    if state is None:
        out[...] = 0
    else:
        numpy.dot(state, transposed, out)


def _grad_weight(d: Array, h: Array | None, out: Array, reverse: bool) -> Array:
    """The gradient of the recurrent weight, from that of its products. ``h`` is the state before the first step."""
    total = linear_grad_weight(*((d[:-1], out[1:]) if reverse else (d[1:], out[:-1])))
    if h is not None:
        total += linear_grad_weight(d[-1 if reverse else 0], h)
    return total


def lstm_steps(z: Array, h: Array | None, c: Array | None, w_hh: Array, w_hr: Array | None, reverse: bool) -> Any:
    dtype = z.dtype
    launch = _LSTM.of(dtype, z.size)
    if launch is None:
        return NotImplemented
    steps, batch, columns = z.shape
    width, size = columns // 4, w_hh.shape[1]
    z, c = flat(z), _start(c, (batch, width), dtype)
    gates, product = numpy.empty(z.shape, dtype), numpy.empty((batch, columns), dtype)
    cells, squashed = numpy.empty((steps, batch, width), dtype), numpy.empty((steps, batch, width), dtype)
    out = numpy.empty((steps, batch, size), dtype)
    hidden = out if w_hr is None else numpy.empty((steps, batch, width), dtype)
    transposed = numpy.ascontiguousarray(w_hh.T)

    def work(first: int, stop: int) -> None:
        state, cell, at = None if h is None else h[first:stop], c, first
        some, rows = product[first:stop], stop - first
        for t in _order(steps, reverse):
            _product(state, transposed, some)
            p = t * batch + first
            launch(rows, 0, z, product, cell, gates, cells, squashed, hidden, p, first, at, p, p, p, p, width)
            state, cell, at = out[t, first:stop], cells, p
            if w_hr is not None:
                numpy.dot(hidden[t, first:stop], w_hr.T, state)

    work(0, batch)
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
    launch = _LSTM_GRAD.of(dtype, gates.size)
    if launch is None:
        return NotImplemented
    steps, batch, width = cells.shape
    size = out.shape[2]
    g, gates, cells, squashed = flat(g), flat(gates), flat(cells), flat(squashed)
    start = _start(c, (batch, width), dtype)
    dz, dc, back = (
        numpy.empty(gates.shape, dtype),
        numpy.array(g_cell, dtype, order="C"),
        numpy.zeros((batch, size), dtype),
    )
    projects = w_hr is not None
    totals = numpy.empty(out.shape if projects else 0, dtype)
    dh, none = (numpy.zeros((batch, width) if projects else 0, dtype) for _ in range(2))

    def work(first: int, stop: int) -> None:
        rows, some = stop - first, back[first:stop]
        order = _order(steps, not reverse)
        for t in order:
            p = t * batch + first
            cell, at = cells, p + (batch if reverse else -batch)
            if t == order[-1]:
                cell, at = start, first
            given, more, q = g, back, p
            if w_hr is not None:
                numpy.add(g[t, first:stop], some, totals[t, first:stop])
                numpy.dot(totals[t, first:stop], w_hr, dh[first:stop])
                given, more, q = dh, none, first
            launch(rows, 0, given, more, dc, gates, cell, squashed, dz, dc, q, first, first, p, at, p, p, first, width)
            if t != order[-1] or h is not None:
                numpy.dot(dz[t, first:stop], w_hh, some)

    work(0, batch)
    dw_hr = linear_grad_weight(totals, gates[:, :, 3 * width :] * squashed) if projects else None
    dh_first, dc_first = None if h is None else back, None if c is None else dc
    return dz, dh_first, dc_first, _grad_weight(dz, h, out, reverse), dw_hr


def gru_steps(z: Array, h: Array | None, w_hh: Array, b_hh: Array | None, reverse: bool) -> Any:
    dtype = z.dtype
    launch = (_GRU if b_hh is None else _GRU_BIASED).of(dtype, z.size)
    if launch is None:
        return NotImplemented
    steps, batch, columns = z.shape
    width = columns // 3
    z, start, bias = flat(z), _start(h, (batch, width), dtype), () if b_hh is None else (flat(b_hh),)
    gates, product = numpy.empty(z.shape, dtype), numpy.empty((batch, columns), dtype)
    products, out = numpy.empty((steps, batch, width), dtype), numpy.empty((steps, batch, width), dtype)
    transposed = numpy.ascontiguousarray(w_hh.T)

    def work(first: int, stop: int) -> None:
        states, at, state = start, first, None if h is None else start[first:stop]
        some, rows, row = product[first:stop], stop - first, (0,) * len(bias)
        for t in _order(steps, reverse):
            _product(state, transposed, some)
            p = t * batch + first
            launch(rows, 0, z, product, states, *bias, gates, products, out, p, first, at, *row, p, p, p, width)
            states, at, state = out, p, out[t, first:stop]

    work(0, batch)
    return out, gates, products


def gru_steps_grad(
    g: Array, h: Array | None, w_hh: Array, b_hh: Array | None, out: Array, gates: Array, products: Array, reverse: bool
) -> Any:
    dtype = gates.dtype
    launch = _GRU_GRAD.of(dtype, gates.size)
    if launch is None:
        return NotImplemented
    steps, batch, width = out.shape
    g, gates, products, states = flat(g), flat(gates), flat(products), flat(out)
    start = _start(h, (batch, width), dtype)
    dz, d = numpy.empty(gates.shape, dtype), numpy.empty(gates.shape, dtype)
    back, part = numpy.zeros((batch, width), dtype), numpy.zeros((batch, width), dtype)

    def work(first: int, stop: int) -> None:
        rows, some = stop - first, back[first:stop]
        order = _order(steps, not reverse)
        for t in order:
            p = t * batch + first
            before, at = states, p + (batch if reverse else -batch)
            if t == order[-1]:
                before, at = start, first
            launch(rows, 0, g, back, part, gates, products, before, dz, d, part,
                   p, first, first, p, p, at, p, p, first, width)  # fmt: skip
            if t != order[-1] or h is not None:
                numpy.dot(d[t, first:stop], w_hh, some)

    work(0, batch)
    db_hh = None if b_hh is None else numpy.add.reduce(d, (0, 1))
    return dz, None if h is None else back + part, _grad_weight(d, h, out, reverse), db_hh


def rnn_steps(z: Array, h: Array | None, w_hh: Array, reverse: bool, nonlinearity: str) -> Any:
    dtype = z.dtype
    launch = _RNN[nonlinearity].of(dtype, z.size)
    if launch is None:
        return NotImplemented
    steps, batch, width = z.shape
    z, out = flat(z), numpy.empty(z.shape, dtype)
    transposed = numpy.ascontiguousarray(w_hh.T)
    product = numpy.empty((batch, width), dtype)

    def work(first: int, stop: int) -> None:
        state, some, rows = None if h is None else h[first:stop], product[first:stop], stop - first
        for t in _order(steps, reverse):
            _product(state, transposed, some)
            p = t * batch + first
            launch(rows, 0, z, product, out, p, first, p, width)
            state = out[t, first:stop]

    work(0, batch)
    return out


def rnn_steps_grad(g: Array, h: Array | None, w_hh: Array, out: Array, reverse: bool, nonlinearity: str) -> Any:
    dtype = out.dtype
    launch = _RNN_GRAD[nonlinearity].of(dtype, out.size)
    if launch is None:
        return NotImplemented
    steps, batch, width = out.shape
    g, states, dz = flat(g), flat(out), numpy.empty(out.shape, dtype)
    back = numpy.zeros((batch, width), dtype)

    def work(first: int, stop: int) -> None:
        rows, some = stop - first, back[first:stop]
        order = _order(steps, not reverse)
        for t in order:
            p = t * batch + first
            launch(rows, 0, g, back, states, dz, p, first, p, p, width)
            if t != order[-1] or h is not None:
                numpy.dot(dz[t, first:stop], w_hh, some)

    work(0, batch)
    return dz, None if h is None else back, _grad_weight(dz, h, out, reverse)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (rnn_steps, rnn_steps_grad, lstm_steps, lstm_steps_grad, gru_steps, gru_steps_grad)
}
