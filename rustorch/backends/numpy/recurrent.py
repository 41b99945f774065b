"""NumPy's recurrent steps: one matrix product and a few other calls each, into buffers made once for the sequence.

Because ``sigmoid(x) = (tanh(x / 2) + 1) / 2``, one call of tanh computes all gates of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, multiply, tanh

from ..kernels import recurrent as plain
from ..kernels.recurrent import states_before
from .linear import linear_grad_weight
from .namespace import NUMPY, full_namespace

if TYPE_CHECKING:
    from ..base import Array


def _or_plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The override for real numbers, and the plain version for complex numbers."""

    plain_version = getattr(plain, function.__name__)

    @wraps(function)
    def kernel(first: Array, *others: Any) -> Any:
        if first.dtype.kind != "c":
            return function(first, *others)
        return plain_version(full_namespace(), first, *others)

    return kernel


def _order(steps: int, reverse: bool) -> range:
    """The numbers of the steps in the order in which they are computed."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _start(state: Array | None, z: Array, size: int) -> Array:
    """The state before the first step: ``state``, or zeros for None."""
    return numpy.zeros((z.shape[1], size), z.dtype) if state is None else state


def _before(first: Array | None, states: Array, reverse: bool) -> Array:
    return states_before(NUMPY, first, states, reverse)


def _scales(batch: int, width: int, sigmoids: tuple[bool, ...], dtype: numpy.dtype) -> tuple[Array, Array]:
    """The factor before and after tanh, and the summand after it, which make sigmoids of some of the gates.

    They have a row for each sample: that is faster than to broadcast one row.
    """
    which = numpy.tile(numpy.repeat(numpy.asarray(sigmoids), width), (batch, 1))
    return numpy.where(which, 0.5, 1.0).astype(dtype), numpy.where(which, 0.5, 0.0).astype(dtype)


@_or_plain
def rnn_steps(z: Array, h: Array | None, w_hh: Array, reverse: bool, nonlinearity: str) -> Array:
    h = _start(h, z, w_hh.shape[1])
    out = numpy.empty(z.shape, z.dtype)
    transposed = numpy.ascontiguousarray(w_hh.T)
    for t in _order(len(z), reverse):
        step = out[t]
        numpy.dot(h, transposed, step)
        add(step, z[t], step)
        if nonlinearity == "relu":
            numpy.maximum(step, 0, out=step)
        else:
            tanh(step, step)
        h = step
    return out


@_or_plain
def rnn_steps_grad(
    g: Array, h: Array | None, w_hh: Array, out: Array, reverse: bool, nonlinearity: str
) -> tuple[Array, Array | None, Array]:
    if nonlinearity == "relu":
        dz = (out > 0).astype(out.dtype)
    else:
        dz = multiply(out, out)
        numpy.subtract(1, dz, dz)
    back = numpy.zeros(out.shape[1:], out.dtype)
    dh = numpy.empty(out.shape[1:], out.dtype)
    for t in _order(len(out), not reverse):
        add(g[t], back, dh)
        step = dz[t]
        multiply(step, dh, step)
        numpy.dot(step, w_hh, back)
    return dz, None if h is None else back, linear_grad_weight(dz, _before(h, out, reverse))


@_or_plain
def lstm_steps(
    z: Array, h: Array | None, c: Array | None, w_hh: Array, w_hr: Array | None, reverse: bool
) -> tuple[Array, Array, Array, Array, Array]:
    steps, batch, columns = z.shape
    width, dtype = columns // 4, z.dtype
    h, c = _start(h, z, w_hh.shape[1]), _start(c, z, width)
    gates = numpy.empty(z.shape, dtype)
    cells, squashed = numpy.empty((2, steps, batch, width), dtype)
    out = numpy.empty((steps, *h.shape), dtype)
    hidden = out if w_hr is None else numpy.empty((steps, batch, width), dtype)
    sigmoids = (True, True, False, True)
    factor, shift = _scales(batch, width, sigmoids, dtype)
    # Scaling by 1/2 is exact, so it can be done before the sum, once for all steps.
    multiply(z, factor, gates)
    transposed = multiply(w_hh.T, _scales(1, width, sigmoids, dtype)[0], order="C")
    recurrent = numpy.empty((batch, columns), dtype)
    product = numpy.empty((batch, width), dtype)
    for t in _order(steps, reverse):
        gate, cell, s = gates[t], cells[t], squashed[t]
        numpy.dot(h, transposed, recurrent)
        add(gate, recurrent, gate)
        tanh(gate, gate)
        multiply(gate, factor, gate)
        add(gate, shift, gate)
        multiply(gate[:, width : 2 * width], c, cell)
        multiply(gate[:, :width], gate[:, 2 * width : 3 * width], product)
        add(cell, product, cell)
        tanh(cell, s)
        multiply(gate[:, 3 * width :], s, hidden[t])
        if w_hr is not None:
            numpy.dot(hidden[t], w_hr.T, out[t])
        h, c = out[t], cell
    return out, c.copy(), gates, cells, squashed


@_or_plain
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
    steps, batch, width = cells.shape
    dtype = gates.dtype
    parts = gates.reshape(steps, batch, 4, width)
    i, f, m, o = (parts[:, :, k] for k in range(4))
    # first the factors that do not depend on later steps, in place of the result
    dz = 1 - gates
    dz *= gates
    factors = dz.reshape(steps, batch, 4, width)
    multiply(m, m, factors[:, :, 2])
    numpy.subtract(1, factors[:, :, 2], factors[:, :, 2])
    for k, factor in ((0, m), (1, _before(c, cells, reverse)), (2, i), (3, squashed)):
        factors[:, :, k] *= factor
    cell_slope = multiply(squashed, squashed)
    numpy.subtract(1, cell_slope, cell_slope)
    cell_slope *= o
    dc = numpy.array(g_cell, dtype)  # a copy
    dh, part = numpy.empty((2, batch, width), dtype)
    back = numpy.zeros(out.shape[1:], dtype)
    totals = None if w_hr is None else numpy.empty(out.shape, dtype)
    for t in _order(steps, not reverse):
        if w_hr is None:
            add(g[t], back, dh)
        else:
            add(g[t], back, totals[t])  # type: ignore[index]
            numpy.dot(totals[t], w_hr, dh)  # type: ignore[index]
        multiply(dh, cell_slope[t], part)
        add(dc, part, dc)
        step = factors[t]
        multiply(step[:, :3], dc[:, None], step[:, :3])
        multiply(step[:, 3], dh, step[:, 3])
        multiply(dc, f[t], dc)
        numpy.dot(dz[t], w_hh, back)
    dw_hr = None if totals is None else linear_grad_weight(totals, o * squashed)
    dh_first, dc_first = None if h is None else back, None if c is None else dc
    return dz, dh_first, dc_first, linear_grad_weight(dz, _before(h, out, reverse)), dw_hr


@_or_plain
def gru_steps(z: Array, h: Array | None, w_hh: Array, b_hh: Array | None, reverse: bool) -> tuple[Array, Array, Array]:
    steps, batch, columns = z.shape
    width, dtype = columns // 3, z.dtype
    h = _start(h, z, width)
    both = 2 * width  # the columns of the two sigmoids
    gates = numpy.empty(z.shape, dtype)
    out, products = numpy.empty((2, steps, batch, width), dtype)
    transposed = numpy.ascontiguousarray(w_hh.T)
    recurrent = numpy.empty((batch, columns), dtype)
    for t in _order(steps, reverse):
        gate, step, x = gates[t], out[t], z[t]
        numpy.dot(h, transposed, recurrent)
        if b_hh is not None:
            add(recurrent, b_hh, recurrent)
        products[t] = recurrent[:, both:]
        two, n = gate[:, :both], gate[:, both:]
        add(x[:, :both], recurrent[:, :both], two)
        multiply(two, 0.5, two)
        tanh(two, two)
        multiply(two, 0.5, two)
        add(two, 0.5, two)
        multiply(gate[:, :width], products[t], n)
        add(n, x[:, both:], n)
        tanh(n, n)
        numpy.subtract(h, n, step)
        multiply(step, gate[:, width:both], step)
        add(step, n, step)
        h = step
    return out, gates, products


@_or_plain
def gru_steps_grad(
    g: Array, h: Array | None, w_hh: Array, b_hh: Array | None, out: Array, gates: Array, products: Array, reverse: bool
) -> tuple[Array, Array | None, Array, Array | None]:
    steps, batch, width = out.shape
    dtype = gates.dtype
    parts = gates.reshape(steps, batch, 3, width)
    r, u, n = (parts[:, :, k] for k in range(3))
    start = _before(h, out, reverse)
    # first the factors that do not depend on later steps, in place of the results
    dz = 1 - gates
    dz *= gates  # for r and u; n follows
    factors = dz.reshape(steps, batch, 3, width)
    multiply(n, n, factors[:, :, 2])
    numpy.subtract(1, factors[:, :, 2], factors[:, :, 2])
    factors[:, :, 2] *= 1 - u
    factors[:, :, 0] *= factors[:, :, 2] * products
    factors[:, :, 1] *= start - n
    d = dz.copy()
    recurrent = d.reshape(steps, batch, 3, width)
    recurrent[:, :, 2] *= r
    back = numpy.zeros(out.shape[1:], dtype)
    dh = numpy.empty(out.shape, dtype)
    product = numpy.empty(out.shape[1:], dtype)
    for t in _order(steps, not reverse):
        add(g[t], back, dh[t])
        multiply(recurrent[t], dh[t][:, None], recurrent[t])
        numpy.dot(d[t], w_hh, back)
        add(back, multiply(dh[t], u[t], product), back)
    factors *= dh[:, :, None]
    db_hh = None if b_hh is None else add.reduce(d, (0, 1))
    return dz, None if h is None else back, linear_grad_weight(d, start), db_hh


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (rnn_steps, rnn_steps_grad, lstm_steps, lstm_steps_grad, gru_steps, gru_steps_grad)
}
