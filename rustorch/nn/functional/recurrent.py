"""RNN, LSTM and GRU over sequences. PyTorch has these functions at its top level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import ops
from ...ops import network
from .checks import adopt, floating
from .dropout import dropout as dropped
from .dtype_checks import one_dtype
from .linear import linear
from .packing import Direction, PackedSequence, over_segments, sizes_of

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["gru", "lstm", "rnn_relu", "rnn_tanh"]


class Weights:
    """The parameters of one layer in one direction."""

    def __init__(self, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, w_hr: Any = None):
        self.w_ih, self.w_hh, self.b_ih, self.b_hh, self.w_hr = w_ih, w_hh, b_ih, b_hh, w_hr


def _affine(input: Variable, weight: Variable, bias: Variable | None) -> Variable:
    """`linear` with all steps as the rows of one matrix: one product instead of one for each step."""
    steps, batch, features = input.shape
    return ops.reshape(
        linear(ops.reshape(input, (steps * batch, features)), weight, bias),
        (steps, batch, -1 if batch else weight.shape[0]),
    )


def _last(output: Variable, reverse: bool) -> Variable:
    """The output of the last step in the direction of the layer."""
    return output[0 if reverse else output.shape[0] - 1, ...]


def rnn_direction(nonlinearity: str) -> Direction:
    """One layer of an RNN in one direction."""

    def direction(input: Variable, states: list[Any], w: Weights, reverse: bool) -> tuple[Variable, list[Variable]]:
        z = _affine(input, w.w_ih, None if w.b_ih is None else w.b_ih + w.b_hh)
        out = network.rnn_steps(z, states[0], w.w_hh, reverse, nonlinearity)
        return out, [_last(out, reverse)]

    return direction


def lstm_direction(input: Variable, states: list[Any], w: Weights, reverse: bool) -> tuple[Variable, list[Variable]]:
    """One layer of an LSTM in one direction."""
    z = _affine(input, w.w_ih, None if w.b_ih is None else w.b_ih + w.b_hh)
    out, cell = network.lstm_steps(z, *states, w.w_hh, w.w_hr, reverse)
    return out, [_last(out, reverse), cell]


def gru_direction(input: Variable, states: list[Any], w: Weights, reverse: bool) -> tuple[Variable, list[Variable]]:
    """One layer of a GRU in one direction."""
    out = network.gru_steps(_affine(input, w.w_ih, w.b_ih), states[0], w.w_hh, w.b_hh, reverse)
    return out, [_last(out, reverse)]


# -- sequences ---------------------------------------------------------------------------------------------------------
def initial_states(
    name: str, hx: Sequence[ArrayLike], like: Variable, shapes: Sequence[tuple[int, ...]]
) -> list[Variable]:
    """The initial states as Variables, after checks of their shapes and dtypes."""
    words = ("hidden state", "cell state")
    if len(hx) != len(shapes):
        raise ValueError(f"{name}: the state is {len(shapes)} arrays, (h_0, c_0); got {len(hx)}")
    states = []
    for word, given, shape in zip(words, hx, shapes, strict=False):
        state = adopt(given, name, (like,))
        if tuple(state.shape) != shape:
            raise ValueError(
                f"{name}: for an input of shape {tuple(like.shape)} the {word} has shape {shape}, not "
                f"{tuple(state.shape)}"
            )
        one_dtype(name, **{"input": like, word: state})
        states.append(state)
    return states


def check_dtypes(name: str, input: Variable, weights: Sequence[Variable | None]) -> None:
    """Raise TypeError unless all weights have the dtype of the input."""
    dtype = input._native.dtype
    for parameter in weights:
        if parameter is not None and parameter._native.dtype is not dtype:
            one_dtype(name, input=input, weight=parameter)


def _split(
    name: str, params: Sequence[ArrayLike], has_biases: bool, layers: int, directions: int, projects: bool
) -> list[Weights]:
    """The parameters of each layer and direction. With ``projects`` each may end with a projection."""
    each = 4 if has_biases else 2
    projected = projects and len(params) == layers * directions * (each + 1)
    each += projected
    if len(params) != layers * directions * each:
        raise ValueError(
            f"{name}: {layers} layers in {directions} directions have {layers * directions * each} parameters; got "
            f"{len(params)}"
        )
    weights = []
    for i in range(0, len(params), each):
        own = [adopt(p, name) for p in params[i : i + each]]
        w_hr = own.pop() if projected else None
        w = Weights(*own)
        w.w_hr = w_hr
        weights.append(w)
    return weights


def _ordered(states: Variable, order: Variable | None) -> Variable:
    """States, (rows, batch, size), with the sequences in another order."""
    return states if order is None else ops.take(states, order, axis=1)


def _by_layer(h: Variable, indices: Variable | None, batched: bool) -> list[Variable]:
    """The initial states of each layer and direction, (batch, size), in the order of packed sequences if there are."""
    return list(ops.unstack(_ordered(h, indices) if batched else ops.expand_dims(h, axis=1), axis=0))


def _stacked(ends: list[list[Variable]]) -> list[Variable]:
    """The states of all layers after the last step, (layers, batch, size).

    A hidden state is a view of the output: copy it. A cell state has its own memory: copy it only to join several.
    """
    hidden, *cells = ends
    return [ops.stack(hidden), *[ops.stack(end) if len(end) > 1 else ops.expand_dims(end[0], axis=0) for end in cells]]


def _run(
    name: str,
    direction: Direction,
    chunks: int,
    input: ArrayLike | PackedSequence,
    hx: Sequence[ArrayLike] | None,
    params: Sequence[ArrayLike],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, list[Variable]]:
    """Run all layers in all directions. Returns the output and the states after the last step."""
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
        check_dtypes(name, given, (w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.w_hr))
    width, rows = weights[0].w_hh.shape[0] // chunks, num_layers * directions
    sizes = [weights[0].w_hh.shape[1], *([width] if name == "LSTM" else [])]
    shapes = [(rows, batch, size) if batched else (rows, size) for size in sizes]
    starts: list[list[Any]]
    if hx is not None:
        states = initial_states(name, hx, given, shapes)
        starts = [_by_layer(h, packed and packed.sorted_indices, batched) for h in states]
    elif packed is None:
        starts = [[None] * rows for _ in sizes]
    else:  # backwards, shorter sequences begin later: they take their rows of these zeros
        starts = [[ops.zeros((batch, size), dtype=given.dtype, device=given.device)] * rows for size in sizes]
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
    after = _stacked(ends)
    if packed is not None:
        return packed.with_data(x), [_ordered(state, packed.unsorted_indices) for state in after]
    if not batched:
        return ops.squeeze(x, axis=1), [ops.squeeze(state, axis=1) for state in after]
    return (ops.permute_dims(x, (1, 0, 2)) if batch_first else x), after


def rnn_tanh(
    input: ArrayLike | PackedSequence,
    hx: ArrayLike | None,
    params: Sequence[ArrayLike],
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
        With ``batch_first`` (batch, steps, features). The output of packed sequences is packed, too.
    hx : Variable or array, (num_layers * directions, batch, hidden), or None
        The state before the first step; None means zeros. For one sequence it has no dimension for the batch.
    params : sequence of Variables or arrays
        w_ih and w_hh, and with ``has_biases`` b_ih and b_hh, for each direction of each layer.
    has_biases : bool
        Whether ``params`` has biases.
    num_layers : int
    dropout : float
        The probability with which an output of a layer becomes 0 if ``train``. The last layer has no dropout.
    train : bool
    bidirectional : bool
        Whether every layer also runs backwards. The outputs of both directions are concatenated.
    batch_first : bool
        Whether the batch is the first dimension of input and output.

    Returns
    -------
    output : Variable, (steps, batch, directions * hidden)
    state : Variable, (num_layers * directions, batch, hidden)
        The state after the last step.

    Raises
    ------
    ValueError
        If a shape or the number of parameters does not fit, or the sequences have no steps.
    TypeError
        If input, state and parameters do not have one dtype.
    """
    return _plain_rnn("tanh", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def rnn_relu(
    input: ArrayLike | PackedSequence,
    hx: ArrayLike | None,
    params: Sequence[ArrayLike],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable]:
    """`rnn_tanh` with ReLU instead of tanh."""
    return _plain_rnn("relu", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def _plain_rnn(
    nonlinearity: str, input: ArrayLike | PackedSequence, hx: ArrayLike | None, *options: Any
) -> tuple[Variable, Variable]:
    out, ends = _run("RNN", rnn_direction(nonlinearity), 1, input, None if hx is None else [hx], *options)
    return out, ends[0]


def gru(
    input: ArrayLike | PackedSequence,
    hx: ArrayLike | None,
    params: Sequence[ArrayLike],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable]:
    """A gated recurrent unit over a sequence; see `rustorch.nn.GRU`. Arguments and results are as for `rnn_tanh`."""
    out, ends = _run(
        "GRU",
        gru_direction,
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
    input: ArrayLike | PackedSequence,
    hx: Sequence[ArrayLike] | None,
    params: Sequence[ArrayLike],
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> tuple[Variable, Variable, Variable]:
    """A long short-term memory over a sequence; see `rustorch.nn.LSTM`.

    Arguments are as for `rnn_tanh`, with two differences: ``hx`` is a pair (h_0, c_0) or None, and the parameters of a
    layer may end with a projection w_hr, (hidden, width). The results are output, h_n and c_n.
    """
    if hx is not None and not isinstance(hx, (tuple, list)):
        raise TypeError(f"LSTM: the state is a pair (h_0, c_0), not {type(hx).__name__}")
    out, (h, c) = _run(
        "LSTM",
        lstm_direction,
        4,
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
    )
    return out, h, c
