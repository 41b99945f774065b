"""One layer and direction of RNN, LSTM and GRU, over a whole sequence: one node, whose rule goes back through time.

In mode 2 the rule, and the by-products that it asks for, are the kernels' plain versions, run on Variables: every order
exists.
"""

from __future__ import annotations

from typing import Any

from ...autograd.check import explained
from ...autograd.primitive import Primitive
from ..helpers import is_complex

__all__ = ["gru_steps", "lstm_steps", "rnn_steps"]


def _lstm(xp: Any, z: Any, h: Any, c: Any, w_hh: Any, w_hr: Any, /, reverse: bool) -> tuple:
    out, cell, *by_products = xp.lstm_steps(z, h, c, w_hh, w_hr, reverse)
    return (out, cell), *by_products


def _lstm_rule(
    xp: Any,
    g: Any,
    h: Any,
    c: Any,
    w_hh: Any,
    w_hr: Any,
    out: Any,
    gates: Any,
    cells: Any,
    squashed: Any,
    reverse: bool,
) -> tuple:
    return xp.lstm_steps_grad(*g, h, c, w_hh, w_hr, out[0], gates, cells, squashed, reverse)


def _rnn(xp: Any, z: Any, h: Any, w_hh: Any, /, reverse: bool, nonlinearity: str) -> Any:
    if nonlinearity == "relu" and is_complex(z):
        raise explained(
            TypeError(
                "an RNN of rectifiers is of real numbers; take the real part of complex ones, as in rustorch.real(x)"
            )
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
