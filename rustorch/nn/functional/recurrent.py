"""RNN, LSTM and GRU over sequences, and their cells: one step. PyTorch has these functions at its top level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import adopt
from ...ops import network
from .checks import floating
from .dropout import dropout as dropped
from .dtype_checks import one_dtype
from .linear import linear
from .packing import Direction, PackedSequence, over_segments, sizes_of

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"]


class Weights:
    """The parameters of one layer in one direction."""

    def __init__(self, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, w_hr: Any = None):
        self.w_ih, self.w_hh, self.b_ih, self.b_hh, self.w_hr = w_ih, w_hh, b_ih, b_hh, w_hr


def _affine(input: Variable, weight: ArrayLike, bias: ArrayLike) -> Variable:
    """`linear` of all steps as the rows of one matrix: one product instead of one per step."""
    steps, batch, features = input.shape
    return ops.reshape(
        linear(ops.reshape(input, (steps * batch, features)), weight, bias),
        (steps, batch, -1 if batch else weight.shape[0]),
    )


def _last(output: Variable, reverse: bool) -> Variable:
    return output[0 if reverse else output.shape[0] - 1, ...]


def _of_rnn(nonlinearity: str) -> Direction:
    def direction(input: Variable, states: list, w: Weights, reverse: bool) -> tuple[Variable, list]:
        z = _affine(input, w.w_ih, None if w.b_ih is None else w.b_ih + w.b_hh)
        out = network.rnn_steps(z, states[0], w.w_hh, reverse, nonlinearity)
        return out, [_last(out, reverse)]

    return direction


def _of_lstm(input: Variable, states: list, w: Weights, reverse: bool) -> tuple[Variable, list]:
    z = _affine(input, w.w_ih, None if w.b_ih is None else w.b_ih + w.b_hh)
    out, cell = network.lstm_steps(z, *states, w.w_hh, w.w_hr, reverse)
    return out, [_last(out, reverse), cell]


def _of_gru(input: Variable, states: list, w: Weights, reverse: bool) -> tuple[Variable, list]:
    out = network.gru_steps(_affine(input, w.w_ih, w.b_ih), states[0], w.w_hh, w.b_hh, reverse)
    return out, [_last(out, reverse)]


# -- sequences ---------------------------------------------------------------------------------------------------------
def _states(name: str, hx: Sequence[Any], like: Variable, shapes: Sequence[tuple[int, ...]]) -> list[Variable]:
    """The initial states, checked."""
    words = ("hidden state", "cell state")
    if len(hx) != len(shapes):
        raise ValueError(f"{name}: the state is {len(shapes)} arrays, (h_0, c_0); got {len(hx)}")
    found = []
    for word, given, shape in zip(words, hx, shapes, strict=False):
        state = adopt(given, name, (like,))
        if tuple(state.shape) != shape:
            raise ValueError(
                f"{name}: for an input of shape {tuple(like.shape)} the {word} has shape {shape}, not "
                f"{tuple(state.shape)}"
            )
        one_dtype(name, **{"input": like, word: state})
        found.append(state)
    return found


def _check_dtypes(name: str, input: Variable, weights: Sequence[Any]) -> None:
    """Raise TypeError unless parameters have the dtype of the input."""
    dtype = input._native.dtype
    for parameter in weights:
        if parameter is not None and parameter._native.dtype is not dtype:
            one_dtype(name, input=input, weight=parameter)


def _split(
    name: str, params: Sequence[Any], has_biases: bool, layers: int, directions: int, projects: bool
) -> list[Weights]:
    each = 4 if has_biases else 2
    projected = projects and len(params) == layers * directions * (each + 1)
    each += projected
    if len(params) != layers * directions * each:
        raise ValueError(
            f"{name}: {layers} layers in {directions} directions have {layers * directions * each} parameters; got "
            f"{len(params)}"
        )
    found = []
    for i in range(0, len(params), each):
        own = [adopt(p, name) for p in params[i : i + each]]
        w_hr = own.pop() if projected else None
        w = Weights(*own)
        w.w_hr = w_hr
        found.append(w)
    return found


def _ordered(states: Variable, order: Variable | None) -> Variable:
    """States of sequences in another order: (rows, batch, size)."""
    return states if order is None else ops.take(states, order, axis=1)


def _run(
    name: str,
    direction: Direction,
    chunks: int,
    input: ArrayLike,
    hx: Sequence[Any] | None,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, list]:
    """All layers and directions; the output and the states after."""
    packed = input if isinstance(input, PackedSequence) else None
    given = floating(input if packed is None else packed.data, name)
    directions = 2 if bidirectional else 1
    weights = _split(name, params, has_biases, num_layers, directions, name == "LSTM")
    features = weights[0].w_ih.shape[1]
    order = "(batch, steps, features)" if batch_first else "(steps, batch, features)"
    if packed is not None and (given.ndim != 2 or given.shape[1] != features):
        raise ValueError(
            f"{name}: packed sequences have {features} features in each step; got data of the shape "
            f"{tuple(given.shape)}"
        )
    if given.ndim not in (2, 3) or given.shape[-1] != features:
        raise ValueError(
            f"{name}: the input is {order}, or (steps, features) for one sequence, with {features} features; got the "
            f"shape {tuple(given.shape)}"
        )
    batched = given.ndim == 3 or packed is not None
    x = given if batched else ops.expand_dims(given, axis=1)
    if packed is not None:
        sizes_of_steps = sizes_of(name, packed)
        steps, batch = len(sizes_of_steps), sizes_of_steps[0]
        direction = over_segments(direction, sizes_of_steps)
    else:
        if batched and batch_first:
            x = ops.permute_dims(x, (1, 0, 2))
        steps, batch = x.shape[:2]
    if not steps:
        raise ValueError(f"{name}: a sequence needs at least one step; the input has shape {tuple(given.shape)}")
    for w in weights:
        _check_dtypes(name, given, (w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr))
    width, rows = weights[0].w_hh.shape[0] // chunks, num_layers * directions
    sizes = [weights[0].w_hh.shape[1], *([width] if name == "LSTM" else [])]
    shapes = [(rows, batch, size) if batched else (rows, size) for size in sizes]
    starts: list[list[Variable | None]]
    if hx is None and packed is None:
        starts = [[None] * rows for _ in sizes]
    elif hx is None:  # sequences that come in later take their part of the zeros
        starts = [[ops.zeros((batch, size), dtype=given.dtype, device=given.device)] * rows for size in sizes]
    else:
        starts = [
            list(
                ops.unstack(
                    _ordered(h, packed and packed.sorted_indices) if batched else ops.expand_dims(h, axis=1), axis=0
                )
            )
            for h in _states(name, hx, given, shapes)
        ]
    ends: list[list[Variable]] = [[] for _ in sizes]
    for layer in range(num_layers):
        outs = []
        for k in range(layer * directions, (layer + 1) * directions):
            out, after = direction(x, [start[k] for start in starts], weights[k], k % directions == 1)
            outs.append(out)
            for end, state in zip(ends, after, strict=True):
                end.append(state)
        x = outs[0] if directions == 1 else ops.concat(outs, axis=-1)
        if dropout and train and layer < num_layers - 1:
            x = dropped(x, dropout)
    # A hidden state is a view of the output: copy it. A cell state has its own memory: copy only to join several.
    after = [
        ops.stack(ends[0]),
        *[ops.stack(end) if len(end) > 1 else ops.expand_dims(end[0], axis=0) for end in ends[1:]],
    ]
    if packed is not None:
        return packed.with_data(x), [_ordered(state, packed.unsorted_indices) for state in after]
    if not batched:
        return ops.squeeze(x, axis=1), [ops.squeeze(state, axis=1) for state in after]
    return (ops.permute_dims(x, (1, 0, 2)) if batch_first else x), after


def rnn_tanh(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Sequence[Any],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable]:
    """``h[t] = tanh(w_ih @ x[t] + b_ih + w_hh @ h[t-1] + b_hh)`` over a sequence; see `rustorch.nn.RNN`.

    Parameters
    ----------
    input : Variable or array, (steps, batch, features), or (steps, features), or PackedSequence
        With ``batch_first`` (batch, steps, features). For packed sequences the output is packed alike.
    hx : Variable or array, (num_layers * directions, batch, hidden), or None
        The state before the first step; zeros without. For one sequence there is no axis for the batch.
    params : sequence of Variables or arrays
        For each layer, and in it for each direction: w_ih, w_hh, and with ``has_biases`` b_ih, b_hh.
    has_biases : bool
    num_layers : int
    dropout : float
        What share of the outputs of all layers but the last is zeroed, if ``train``.
    train : bool
    bidirectional : bool
        Whether every layer runs backwards, too; the outputs lie side by side.
    batch_first : bool

    Returns
    -------
    output, (steps, batch, directions * hidden), and the states after the last step, in the shape of hx

    Raises
    ------
    ValueError
        If a shape or the number of parameters does not fit, or there is no step.
    TypeError
        If input, state and parameters are not of one dtype.
    """
    return _plain_rnn("tanh", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def rnn_relu(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Sequence[Any],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable]:
    """As `rnn_tanh`, with the rectifier in place of tanh."""
    return _plain_rnn("relu", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def _plain_rnn(nonlinearity: str, input: ArrayLike, hx: ArrayLike | None, *options: Any) -> tuple[Variable, Variable]:
    out, ends = _run("RNN", _of_rnn(nonlinearity), 1, input, None if hx is None else [hx], *options)
    return out, ends[0]


def gru(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Sequence[Any],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable]:
    """A gated recurrent unit over a sequence; see `rustorch.nn.GRU`. All is as for `rnn_tanh`."""
    out, ends = _run(
        "GRU",
        _of_gru,
        3,
        input,
        None if hx is None else [hx],
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
    )
    return out, ends[0]


def lstm(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Sequence[Any],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable, Variable]:
    """A long short-term memory over a sequence; see `rustorch.nn.LSTM`.

    All is as for `rnn_tanh`, but: ``hx`` is a pair (h_0, c_0) or None; a layer's parameters may end with the projection
    w_hr, (hidden, width); returned are output, h_n and c_n.
    """
    if hx is not None and not isinstance(hx, (tuple, list)):
        raise TypeError(f"LSTM: the state is a pair (h_0, c_0), not {type(hx).__name__}")
    out, (h, c) = _run(
        "LSTM", _of_lstm, 4, input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first
    )
    return out, h, c


# -- one step ----------------------------------------------------------------------------------------------------------
def _step(
    name: str, direction: Direction, chunks: int, input: ArrayLike, hx: Sequence[Any] | None, *weights: Any
) -> list[Variable]:
    given = floating(input, name)
    w = Weights(*[None if p is None else adopt(p, name) for p in weights])
    features, hidden = w.w_ih.shape[1], w.w_hh.shape[0] // chunks
    if given.ndim not in (1, 2) or given.shape[-1] != features:
        raise ValueError(
            f"{name}: the input is (batch, features), or (features,), with {features} features; got the shape "
            f"{tuple(given.shape)}"
        )
    _check_dtypes(name, given, (w.w_ih, w.w_hh, w.b_ih, w.b_hh))
    batched = given.ndim == 2
    x = given if batched else ops.expand_dims(given, axis=0)
    shape = (*given.shape[:-1], hidden)
    shapes = [shape] * (2 if chunks == 4 else 1)
    states: list[Variable | None] = [None] * len(shapes)
    if hx is not None:
        states = [state if batched else ops.expand_dims(state, axis=0) for state in _states(name, hx, given, shapes)]
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
        If input, state and parameters are not of one dtype.
    """
    return _step("RNNCell", _of_rnn("tanh"), 1, input, None if hx is None else [hx], w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> Variable:
    """As `rnn_tanh_cell`, with the rectifier in place of tanh."""
    return _step("RNNCell", _of_rnn("relu"), 1, input, None if hx is None else [hx], w_ih, w_hh, b_ih, b_hh)[0]


def gru_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> Variable:
    """One step of a `gru`; arguments as for `rnn_tanh_cell`, with three rows of weights for each of the state's
    numbers.
    """
    return _step("GRUCell", _of_gru, 3, input, None if hx is None else [hx], w_ih, w_hh, b_ih, b_hh)[0]


def lstm_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> tuple[Variable, Variable]:
    """One step of an `lstm`: (h, c) from a pair hx, or None; four rows of weights for each of the state's numbers."""
    if hx is not None and not isinstance(hx, (tuple, list)):
        raise TypeError(f"LSTMCell: the state is a pair (h_0, c_0), not {type(hx).__name__}")
    h, c = _step("LSTMCell", _of_lstm, 4, input, hx, w_ih, w_hh, b_ih, b_hh)
    return h, c
