"""The cells of RNN, LSTM and GRU: one step. PyTorch has these functions at its top level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import ops
from .checks import adopt, floating
from .packing import Direction
from .recurrent import Weights, check_dtypes, gru_direction, initial_states, lstm_direction, rnn_direction

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable

__all__ = ["gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]


def _step(
    name: str,
    direction: Direction,
    chunks: int,
    input: ArrayLike,
    hx: Sequence[ArrayLike] | None,
    *weights: ArrayLike | None,
) -> list[Variable]:
    """The states after one step; ``chunks`` is the number of rows of weights for each number of the state."""
    given = floating(input, name)
    w = Weights(*[None if p is None else adopt(p, name) for p in weights])
    features, hidden = w.w_ih.shape[1], w.w_hh.shape[0] // chunks
    if given.ndim not in (1, 2) or given.shape[-1] != features:
        raise ValueError(
            f"{name}: the input is (batch, features), or (features,), with {features} features; got the shape "
            f"{tuple(given.shape)}"
        )
    check_dtypes(name, given, (w.w_ih, w.w_hh, w.b_ih, w.b_hh))
    batched = given.ndim == 2
    x = given if batched else ops.expand_dims(given, axis=0)
    shape = (*given.shape[:-1], hidden)
    shapes = [shape] * (2 if chunks == 4 else 1)
    states: list[Variable | None] = [None] * len(shapes)
    if hx is not None:
        states = [
            state if batched else ops.expand_dims(state, axis=0) for state in initial_states(name, hx, given, shapes)
        ]
    _, ends = direction(ops.expand_dims(x, axis=0), states, w, False)
    return ends if batched else [ops.squeeze(end, axis=0) for end in ends]


def rnn_tanh_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> Variable:
    """``tanh(w_ih @ input + b_ih + w_hh @ hx + b_hh)``: one step of an RNN.

    Parameters
    ----------
    input : Variable or array, (batch, features) or (features,)
    hx : Variable or array, (batch, hidden) or (hidden,), or None for zeros
    w_ih, w_hh : Variable or array, (hidden, features) and (hidden, hidden)
    b_ih, b_hh : Variable or array, (hidden,), or both None

    Returns
    -------
    Variable, in the shape of hx

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If input, state and parameters do not have one dtype.
    """
    return _step("RNNCell", rnn_direction("tanh"), 1, input, None if hx is None else [hx], w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> Variable:
    """`rnn_tanh_cell` with ReLU instead of tanh."""
    return _step("RNNCell", rnn_direction("relu"), 1, input, None if hx is None else [hx], w_ih, w_hh, b_ih, b_hh)[0]


def gru_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> Variable:
    """One step of a `gru`. Arguments are as for `rnn_tanh_cell`, but weights and biases have ``3 * hidden`` rows."""
    return _step("GRUCell", gru_direction, 3, input, None if hx is None else [hx], w_ih, w_hh, b_ih, b_hh)[0]


def lstm_cell(
    input: ArrayLike,
    hx: Sequence[ArrayLike] | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> tuple[Variable, Variable]:
    """One step of an `lstm`: (h, c) from a pair ``hx``, or None for zeros.

    Other arguments are as for `rnn_tanh_cell`, but weights and biases have ``4 * hidden`` rows.
    """
    if hx is not None and not isinstance(hx, (tuple, list)):
        raise TypeError(f"LSTMCell: the state is a pair (h_0, c_0), not {type(hx).__name__}")
    h, c = _step("LSTMCell", lstm_direction, 4, input, hx, w_ih, w_hh, b_ih, b_hh)
    return h, c
