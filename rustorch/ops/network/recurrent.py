"""Primitives of RNN, LSTM and GRU: one layer and direction over a whole sequence is one node.

Their rules go backwards through time. With ``create_graph`` the rule and the by-products that it names come from the
kernels' plain versions, which then run on Variables. So every order of derivative exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...autograd.check import explained
from ...autograd.primitive import Primitive
from ..complex_numbers import is_complex

if TYPE_CHECKING:
    from ...typing import Array, Namespace

__all__ = ["gru_steps", "lstm_steps", "rnn_steps"]


def _lstm(
    xp: Namespace, z: Array, h: Array, c: Array, w_hh: Array, w_hr: Array | None, /, reverse: bool
) -> tuple[Any, ...]:
    """The outputs, (hidden states, last cell state), and the by-products that the rule needs."""
    out, cell, *by_products = xp.lstm_steps(z, h, c, w_hh, w_hr, reverse)
    return (out, cell), *by_products


def _lstm_rule(
    xp: Namespace,
    g: tuple[Array, Array],
    h: Array,
    c: Array,
    w_hh: Array,
    w_hr: Array | None,
    out: tuple[Array, Array],
    gates: Array,
    cells: Array,
    squashed: Array,
    reverse: bool,
) -> tuple[Array | None, ...]:
    gradients: tuple[Array | None, ...] = xp.lstm_steps_grad(
        *g, h, c, w_hh, w_hr, out[0], gates, cells, squashed, reverse
    )
    return gradients


def _rnn(xp: Namespace, z: Array, h: Array, w_hh: Array, /, reverse: bool, nonlinearity: str) -> Array:
    if nonlinearity == "relu" and is_complex(z):
        raise explained(
            TypeError("an RNN with ReLU takes real numbers only; take their real part, as in rustorch.real(x)")
        )
    return xp.rnn_steps(z, h, w_hh, reverse, nonlinearity)


rnn_steps = Primitive(
    "rnn_steps",
    _rnn,
    joint=lambda xp, g, h, w_hh, out, reverse, nonlinearity: xp.rnn_steps_grad(g, h, w_hh, out, reverse, nonlinearity),
)
lstm_steps = Primitive("lstm_steps", _lstm, multiple=True, aux=("gates", "cells", "squashed"), joint=_lstm_rule)
gru_steps = Primitive(
    "gru_steps",
    lambda xp, z, h, w_hh, b_hh, /, reverse: xp.gru_steps(z, h, w_hh, b_hh, reverse),
    aux=("gates", "products"),
    joint=lambda xp, g, h, w_hh, b_hh, out, gates, products, reverse: xp.gru_steps_grad(
        g, h, w_hh, b_hh, out, gates, products, reverse
    ),
)
