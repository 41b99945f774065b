"""The recurrent part of RNN, LSTM and GRU: one layer in one direction, over the whole sequence.

What the inputs contribute (``x @ w_ih.T`` and the biases) is computed for all steps at once, before; ``z`` is its name
here. Sequences are (steps, batch, features). Gradients go back through time by hand; the factors in them that are known
beforehand (the derivatives of the activations) are computed for all steps at once.

The state before the first step may be None: it is zeros then, and its gradient is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def _forwards(steps: Sequence, reverse: bool) -> Sequence:
    return steps[::-1] if reverse else steps


def _stacked(xp: Any, steps: list, reverse: bool) -> Any:
    return xp.stack(_forwards(steps, reverse))


def _start(xp: Any, state: Any, z: Any, size: int) -> Any:
    """The state before the first step."""
    return xp.broadcast_to(xp.zeros_like(z[0, :, :1]), (z.shape[1], size)) if state is None else state


def before(xp: Any, first: Any, states: Any, reverse: bool) -> Any:
    """The state that each step started from; ``first`` is the one before all steps, ``states`` are those after each."""
    first = xp.zeros_like(states[:1, ...]) if first is None else xp.expand_dims(first, axis=0)
    return xp.concat([states[1:, ...], first] if reverse else [first, states[:-1, ...]])


def _parts(xp: Any, z: Any, n: int) -> Any:
    """The n parts that lie side by side on the last axis."""
    return xp.unstack(xp.reshape(z, (*z.shape[:-1], n, z.shape[-1] // n)), axis=-2)


def _joined(xp: Any, parts: list) -> Any:
    """The inverse of `_parts`."""
    shape = parts[0].shape
    return xp.reshape(xp.stack(parts, axis=-2), (*shape[:-1], len(parts) * shape[-1]))


def _conjugates(xp: Any, *arrays: Any) -> tuple:
    """The conjugates of complex arrays: what a rule multiplies with. Rules are products and sums, so that of each input
    will do.
    """
    if not xp.isdtype(next(a for a in arrays if a is not None).dtype, "complex floating"):
        return arrays
    return tuple([None if a is None else xp.conj(a) for a in arrays])


def rnn_steps(xp: Any, z: Any, h: Any, w_hh: Any, reverse: bool, nonlinearity: str) -> Any:
    """``h[t] = tanh(z[t] + h[t-1] @ w_hh.T)``, or with "relu" the rectifier in place of tanh.

    Parameters
    ----------
    z : (steps, batch, hidden)
    h : (batch, hidden), or None
        The state before the first step.
    w_hh : (hidden, hidden)
    reverse : bool
        Whether the last step is the first.

    Returns
    -------
    (steps, batch, hidden)
        The state after each step.
    """
    h = _start(xp, h, z, w_hh.shape[1])
    squash = xp.relu if nonlinearity == "relu" else xp.tanh
    out = []
    for x in _forwards(xp.unstack(z), reverse):
        h = squash(x + xp.linear(h, w_hh, None))
        out.append(h)
    return _stacked(xp, out, reverse)


def rnn_steps_grad(
    xp: Any, g: Any, h: Any, w_hh: Any, out: Any, reverse: bool, nonlinearity: str
) -> tuple[Any, Any, Any]:
    """The gradients of `rnn_steps` in z, h and w_hh; ``out`` is what it returned."""
    h, w_hh, out = _conjugates(xp, h, w_hh, out)
    if nonlinearity == "relu":
        slopes = xp.astype(out > 0, out.dtype)
    else:
        slopes = 1 - out * out
    back: Any = None
    found = []
    for g_step, slope in zip(
        _forwards(xp.unstack(g), not reverse), _forwards(xp.unstack(slopes), not reverse), strict=True
    ):
        dz = (g_step if back is None else g_step + back) * slope
        found.append(dz)
        back = xp.matmul(dz, w_hh)
    dz = _stacked(xp, found, not reverse)
    return dz, None if h is None else back, xp.linear_grad_weight(dz, before(xp, h, out, reverse))


def lstm_steps(xp: Any, z: Any, h: Any, c: Any, w_hh: Any, w_hr: Any, reverse: bool) -> tuple[Any, Any, Any, Any, Any]:
    """``i, f, m, o = z[t] + h[t-1] @ w_hh.T``, side by side; all through the sigmoid, m through tanh; then ``c[t] = f *
    c[t-1] + i * m`` and ``h[t] = o * tanh(c[t])``, projected by w_hr if there is one.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; the projection: Sak et al., arXiv:1402.1128.

    Parameters
    ----------
    z : (steps, batch, 4 * width)
    h : (batch, hidden), or None
        Where hidden is width, or with a projection its size.
    c : (batch, width), or None
    w_hh : (4 * width, hidden)
    w_hr : (hidden, width), or None
    reverse : bool
        Whether the last step is the first.

    Returns
    -------
    h after each step, (steps, batch, hidden); c after the last one that was made, (batch, width); and for the gradient:
    the gates (steps, batch, 4 * width), c after each step, and its tanh, (steps, batch, width).
    """
    h, c = _start(xp, h, z, w_hh.shape[1]), _start(xp, c, z, w_hh.shape[0] // 4)
    hidden, gates, cells, squashed = [], [], [], []
    for x in _forwards(xp.unstack(z), reverse):
        i, f, m, o = _parts(xp, x + xp.linear(h, w_hh, None), 4)
        i, f, m, o = xp.sigmoid(i), xp.sigmoid(f), xp.tanh(m), xp.sigmoid(o)
        c = f * c + i * m
        s = xp.tanh(c)
        h = o * s if w_hr is None else xp.linear(o * s, w_hr, None)
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
    xp: Any,
    g: Any,
    g_cell: Any,
    h: Any,
    c: Any,
    w_hh: Any,
    w_hr: Any,
    out: Any,
    gates: Any,
    cells: Any,
    squashed: Any,
    reverse: bool,
) -> tuple[Any, Any, Any, Any, Any]:
    """The gradients of `lstm_steps` in z, h, c, w_hh and w_hr (None without); g and g_cell are those of its first two
    outputs.
    """
    h, c, w_hh, w_hr, out, gates, cells, squashed = _conjugates(xp, h, c, w_hh, w_hr, out, gates, cells, squashed)
    i, f, m, o = _parts(xp, gates, 4)
    # z's gradient is these times the gradient of c, and for the last part, of h
    factors = [m * i * (1 - i), before(xp, c, cells, reverse) * f * (1 - f), i * (1 - m * m), squashed * o * (1 - o)]
    through = o * (1 - squashed * squashed)
    walk = [_forwards(xp.unstack(a), not reverse) for a in (g, *factors, through, f)]
    back: Any = None
    dc = g_cell
    dzs, dhs = [], []
    for g_step, k_i, k_f, k_m, k_o, slope, f_step in zip(*walk, strict=True):
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
    return dz, back, dc, xp.linear_grad_weight(dz, before(xp, h, out, reverse)), dw_hr


def gru_steps(xp: Any, z: Any, h: Any, w_hh: Any, b_hh: Any, reverse: bool) -> tuple[Any, Any, Any]:
    """With ``a, b, d = h[t-1] @ w_hh.T + b_hh`` side by side, and z's parts likewise: ``r = sigmoid(z_r + a)``,
    ``u = sigmoid(z_u + b)``, ``n = tanh(z_n + r * d)``, ``h[t] = (1 - u) * n + u * h[t-1]``.

    Source: Cho et al., arXiv:1406.1078, with the reset after the product, as in cuDNN and PyTorch.

    Parameters
    ----------
    z : (steps, batch, 3 * hidden)
    h : (batch, hidden), or None
    w_hh : (3 * hidden, hidden)
    b_hh : (3 * hidden,), or None
    reverse : bool
        Whether the last step is the first.

    Returns
    -------
    h after each step, (steps, batch, hidden); and for the gradient: r, u and n side by side, (steps, batch, 3 *
    hidden), and d, (steps, batch, hidden).
    """
    h = _start(xp, h, z, w_hh.shape[1])
    hidden, gates, products = [], [], []
    for x in _forwards(xp.unstack(z), reverse):
        z_r, z_u, z_n = _parts(xp, x, 3)
        a, b, d = _parts(xp, xp.linear(h, w_hh, b_hh), 3)
        r, u = xp.sigmoid(z_r + a), xp.sigmoid(z_u + b)
        n = xp.tanh(z_n + r * d)
        h = n + u * (h - n)
        hidden.append(h)
        gates.append(_joined(xp, [r, u, n]))
        products.append(d)
    return _stacked(xp, hidden, reverse), _stacked(xp, gates, reverse), _stacked(xp, products, reverse)


def gru_steps_grad(
    xp: Any, g: Any, h: Any, w_hh: Any, b_hh: Any, out: Any, gates: Any, products: Any, reverse: bool
) -> tuple[Any, Any, Any, Any]:
    """The gradients of `gru_steps` in z, h, w_hh and b_hh (None without); g is that of its first output."""
    h, w_hh, out, gates, products = _conjugates(xp, h, w_hh, out, gates, products)
    r, u, n = _parts(xp, gates, 3)
    start = before(xp, h, out, reverse)
    # all parts' gradients are these times the gradient of h
    k_n = (1 - u) * (1 - n * n)
    k_u = (start - n) * u * (1 - u)
    k_r = k_n * products * r * (1 - r)
    walk = [_forwards(xp.unstack(a), not reverse) for a in (g, _joined(xp, [k_r, k_u, k_n * r]), u)]
    back: Any = None
    dhs, found = [], []
    for g_step, k, u_step in zip(*walk, strict=True):
        dh = g_step if back is None else g_step + back
        dhs.append(dh)
        d = xp.concat([dh, dh, dh], axis=1) * k
        found.append(d)
        back = dh * u_step + xp.matmul(d, w_hh)
    dh, d = _stacked(xp, dhs, not reverse), _stacked(xp, found, not reverse)
    dz = _joined(xp, [dh * k_r, dh * k_u, dh * k_n])
    db_hh = None if b_hh is None else xp.sum(d, axis=(0, 1))
    return dz, None if h is None else back, xp.linear_grad_weight(d, start), db_hh
