"""The recurrent part of RNN, LSTM and GRU: one layer in one direction, over the whole sequence.

The inputs' part, ``x @ w_ih.T`` plus the biases, is computed for all steps at once by the caller, and is called ``z``
here. Sequences are (steps, batch, features). The gradients are written out by hand, backward in time. Their factors
that do not depend on later steps, such as the derivatives of the activations, are computed for all steps at once.

The state before the first step may be None. It is zeros then, and its gradient is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import Array, Namespace


def _in_order(steps: Sequence[Any], reverse: bool) -> Sequence[Any]:
    """The steps in the order in which they are computed."""
    return steps[::-1] if reverse else steps


def _stacked(xp: Namespace, steps: list[Array], reverse: bool) -> Array:
    """The results of the steps, in the order in which they were computed, as one array."""
    return xp.stack(_in_order(steps, reverse))


def _start(xp: Namespace, state: Array | None, z: Array, size: int) -> Array:
    """The state before the first step: ``state``, or zeros for None."""
    return xp.broadcast_to(xp.zeros_like(z[0, :, :1]), (z.shape[1], size)) if state is None else state


def states_before(xp: Namespace, first: Array | None, states: Array, reverse: bool) -> Array:
    """The state before each step. ``first`` is the one before the first step, ``states`` are those after the steps."""
    first = xp.zeros_like(states[:1, ...]) if first is None else xp.expand_dims(first, axis=0)
    return xp.concat([states[1:, ...], first] if reverse else [first, states[:-1, ...]])


def _parts(xp: Namespace, z: Array, n: int) -> Array:
    """The n parts that lie side by side along the last axis."""
    return xp.unstack(xp.reshape(z, (*z.shape[:-1], n, z.shape[-1] // n)), axis=-2)


def _joined(xp: Namespace, parts: list[Array]) -> Array:
    """The inverse of `_parts`."""
    shape = parts[0].shape
    return xp.reshape(xp.stack(parts, axis=-2), (*shape[:-1], len(parts) * shape[-1]))


def _conjugates(xp: Namespace, *arrays: Array | None) -> tuple[Any, ...]:
    """The conjugates of complex arrays. A gradient multiplies by conjugates of derivatives; these are sums of products
    of the arrays, so it is enough to conjugate each array.
    """
    if not xp.isdtype(next(a for a in arrays if a is not None).dtype, "complex floating"):
        return arrays
    return tuple([None if a is None else xp.conj(a) for a in arrays])


# -- what a step computes for each unit --------------------------------------------------------------------------------
def rnn_slope(xp: Namespace, out: Array, nonlinearity: str) -> Array:
    """The derivative of tanh or ReLU, from its result."""
    return xp.where(out > 0, xp.ones_like(out), xp.zeros_like(out)) if nonlinearity == "relu" else 1 - out * out


def lstm_cell(xp: Namespace, i: Array, f: Array, m: Array, o: Array, c: Array) -> tuple[Array, ...]:
    """The step of `lstm_steps` after its sums: the four gates, the cell state, its tanh, and the hidden state."""
    i, f, m, o = xp.sigmoid(i), xp.sigmoid(f), xp.tanh(m), xp.sigmoid(o)
    c = f * c + i * m
    s = xp.tanh(c)
    return i, f, m, o, c, s, o * s


def lstm_slopes(xp: Namespace, i: Array, f: Array, m: Array, o: Array, before: Array, s: Array) -> tuple[Array, ...]:
    """The derivatives of the cell state in the sums of i, f and m, and those of the hidden state in the sum of o and in
    the cell state. ``before`` is the cell state before the step, and s is the tanh of the one after it.
    """
    return m * i * (1 - i), before * f * (1 - f), i * (1 - m * m), s * o * (1 - o), o * (1 - s * s)


def gru_cell(xp: Namespace, r: Array, u: Array, n: Array, d: Array, h: Array) -> tuple[Array, ...]:
    """The step of `gru_steps` after its sums: the gates and the hidden state."""
    r, u = xp.sigmoid(r), xp.sigmoid(u)
    n = xp.tanh(n + r * d)
    return r, u, n, n + u * (h - n)


def gru_slopes(xp: Namespace, r: Array, u: Array, n: Array, d: Array, before: Array) -> tuple[Array, ...]:
    """The derivatives of the hidden state in the sums of r, u and n. ``before`` is the state before the step."""
    k_n = (1 - u) * (1 - n * n)
    return k_n * d * r * (1 - r), (before - n) * u * (1 - u), k_n


# -- sequences ---------------------------------------------------------------------------------------------------------
def rnn_steps(xp: Namespace, z: Array, h: Array | None, w_hh: Array, reverse: bool, nonlinearity: str) -> Array:
    """``h[t] = tanh(z[t] + h[t-1] @ w_hh.T)``, with ReLU in place of tanh if ``nonlinearity`` is "relu".

    Parameters
    ----------
    z : (steps, batch, hidden)
    h : (batch, hidden), or None
        The state before the first step.
    w_hh : (hidden, hidden)
    reverse : bool
        Whether the sequence is processed from its last step to its first.

    Returns
    -------
    (steps, batch, hidden)
        The state after each step.
    """
    h = _start(xp, h, z, w_hh.shape[1])
    squash = xp.relu if nonlinearity == "relu" else xp.tanh
    out = []
    for x in _in_order(xp.unstack(z), reverse):
        h = squash(x + xp.linear(h, w_hh, None))
        out.append(h)
    return _stacked(xp, out, reverse)


def rnn_steps_grad(
    xp: Namespace, g: Array, h: Array | None, w_hh: Array, out: Array, reverse: bool, nonlinearity: str
) -> tuple[Array, Array, Array]:
    """The gradients of `rnn_steps` in z, h and w_hh; ``out`` is what it returned."""
    h, w_hh, out = _conjugates(xp, h, w_hh, out)
    slopes = rnn_slope(xp, out, nonlinearity)
    back: Array | None = None
    dzs = []
    for g_step, slope in zip(
        _in_order(xp.unstack(g), not reverse), _in_order(xp.unstack(slopes), not reverse), strict=True
    ):
        dz = (g_step if back is None else g_step + back) * slope
        dzs.append(dz)
        back = xp.matmul(dz, w_hh)
    dz = _stacked(xp, dzs, not reverse)
    return dz, None if h is None else back, xp.linear_grad_weight(dz, states_before(xp, h, out, reverse))


def lstm_steps(
    xp: Namespace, z: Array, h: Array | None, c: Array | None, w_hh: Array, w_hr: Array | None, reverse: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """``c[t] = f * c[t-1] + i * m`` and ``h[t] = o * tanh(c[t])``, multiplied by ``w_hr.T`` if that is given.

    i, f, m and o are the four parts of ``z[t] + h[t-1] @ w_hh.T``, after the sigmoid for i, f and o, and after tanh for
    m. Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; for the projection, Sak et al.,
    arXiv:1402.1128.

    Parameters
    ----------
    z : (steps, batch, 4 * width)
    h : (batch, hidden), or None
        hidden is width, or the size of the projection if there is one.
    c : (batch, width), or None
    w_hh : (4 * width, hidden)
    w_hr : (hidden, width), or None
    reverse : bool
        Whether the sequence is processed from its last step to its first.

    Returns
    -------
    h after each step, (steps, batch, hidden), and c after the last computed step, (batch, width). For the gradient also
    i, f, m and o side by side, (steps, batch, 4 * width), c after each step, and its tanh, both (steps, batch, width).
    """
    h, c = _start(xp, h, z, w_hh.shape[1]), _start(xp, c, z, w_hh.shape[0] // 4)
    hidden, gates, cells, squashed = [], [], [], []
    for x in _in_order(xp.unstack(z), reverse):
        i, f, m, o = _parts(xp, x + xp.linear(h, w_hh, None), 4)
        i, f, m, o, c, s, h = lstm_cell(xp, i, f, m, o, c)
        h = h if w_hr is None else xp.linear(h, w_hr, None)
        hidden.append(h)
        gates.append(_joined(xp, [i, f, m, o]))
        cells.append(c)
        squashed.append(s)
    return (
        _stacked(xp, hidden, reverse),
        c,
        _stacked(xp, gates, reverse),
        _stacked(xp, cells, reverse),
        _stacked(xp, squashed, reverse),
    )


def lstm_steps_grad(
    xp: Namespace,
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
) -> tuple[Array, Array, Array, Array, Array]:
    """The gradients of `lstm_steps` in z, h, c, w_hh and w_hr, with None for an argument that is None. g and g_cell are
    the gradients of its first two results.
    """
    h, c, w_hh, w_hr, out, gates, cells, squashed = _conjugates(xp, h, c, w_hh, w_hr, out, gates, cells, squashed)
    i, f, m, o = _parts(xp, gates, 4)
    # the gradient of z is these times the gradient of c, or for the last part times the gradient of h
    before = states_before(xp, c, cells, reverse)
    by_step = [_in_order(xp.unstack(a), not reverse) for a in (g, *lstm_slopes(xp, i, f, m, o, before, squashed), f)]
    back: Array | None = None
    dc = g_cell
    dzs, dhs = [], []
    for g_step, k_i, k_f, k_m, k_o, slope, f_step in zip(*by_step, strict=True):
        dh = g_step if back is None else g_step + back
        dhs.append(dh)
        if w_hr is not None:
            dh = xp.matmul(dh, w_hr)
        dc = dc + dh * slope
        dz = _joined(xp, [dc * k_i, dc * k_f, dc * k_m, dh * k_o])
        dzs.append(dz)
        dc = dc * f_step
        back = xp.matmul(dz, w_hh)
    dz = _stacked(xp, dzs, not reverse)
    dw_hr = None if w_hr is None else xp.linear_grad_weight(_stacked(xp, dhs, not reverse), o * squashed)
    back, dc = None if h is None else back, None if c is None else dc
    return dz, back, dc, xp.linear_grad_weight(dz, states_before(xp, h, out, reverse)), dw_hr


def gru_steps(
    xp: Namespace, z: Array, h: Array | None, w_hh: Array, b_hh: Array | None, reverse: bool
) -> tuple[Array, Array, Array]:
    """``h[t] = (1 - u) * n + u * h[t-1]`` with ``r = sigmoid(z_r + a)``, ``u = sigmoid(z_u + b)`` and
    ``n = tanh(z_n + r * d)``.

    a, b and d are the three parts of ``h[t-1] @ w_hh.T + b_hh``, and z_r, z_u and z_n those of ``z[t]``. Source: Cho et
    al., arXiv:1406.1078, with the reset gate after the product, as in cuDNN and PyTorch.

    Parameters
    ----------
    z : (steps, batch, 3 * hidden)
    h : (batch, hidden), or None
    w_hh : (3 * hidden, hidden)
    b_hh : (3 * hidden,), or None
    reverse : bool
        Whether the sequence is processed from its last step to its first.

    Returns
    -------
    h after each step, (steps, batch, hidden). For the gradient also r, u and n side by side,
    (steps, batch, 3 * hidden), and d, (steps, batch, hidden).
    """
    h = _start(xp, h, z, w_hh.shape[1])
    hidden, gates, products = [], [], []
    for x in _in_order(xp.unstack(z), reverse):
        z_r, z_u, z_n = _parts(xp, x, 3)
        a, b, d = _parts(xp, xp.linear(h, w_hh, b_hh), 3)
        r, u, n, h = gru_cell(xp, z_r + a, z_u + b, z_n, d, h)
        hidden.append(h)
        gates.append(_joined(xp, [r, u, n]))
        products.append(d)
    return _stacked(xp, hidden, reverse), _stacked(xp, gates, reverse), _stacked(xp, products, reverse)


def gru_steps_grad(
    xp: Namespace,
    g: Array,
    h: Array | None,
    w_hh: Array,
    b_hh: Array | None,
    out: Array,
    gates: Array,
    products: Array,
    reverse: bool,
) -> tuple[Array, Array, Array, Array]:
    """The gradients of `gru_steps` in z, h, w_hh and b_hh, with None for an argument that is None. g is the gradient of
    its first result.
    """
    h, w_hh, out, gates, products = _conjugates(xp, h, w_hh, out, gates, products)
    r, u, n = _parts(xp, gates, 3)
    start = states_before(xp, h, out, reverse)
    # the gradients of the parts of z are these times the gradient of h
    k_r, k_u, k_n = gru_slopes(xp, r, u, n, products, start)
    by_step = [_in_order(xp.unstack(a), not reverse) for a in (g, _joined(xp, [k_r, k_u, k_n * r]), u)]
    back: Array | None = None
    dhs, ds = [], []
    for g_step, k, u_step in zip(*by_step, strict=True):
        dh = g_step if back is None else g_step + back
        dhs.append(dh)
        d = xp.concat([dh, dh, dh], axis=1) * k
        ds.append(d)
        back = dh * u_step + xp.matmul(d, w_hh)
    dh, d = _stacked(xp, dhs, not reverse), _stacked(xp, ds, not reverse)
    dz = _joined(xp, [dh * k_r, dh * k_u, dh * k_n])
    db_hh = None if b_hh is None else xp.sum(d, axis=(0, 1))
    return dz, None if h is None else back, xp.linear_grad_weight(d, start), db_hh
