"""RNN, LSTM, GRU and their cells: higher derivatives, initial values, dropout and bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support.differences import check
from tests.support.target import Target

#: primitive -> (call, shapes of its differentiable inputs)
PRIMITIVES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "rnn": (lambda z, h, w: network.rnn_steps(z, h, w, False, "tanh"), [(2, 1, 2), (1, 2), (2, 2)]),
    "rnn-reverse-relu": (lambda z, h, w: network.rnn_steps(z, h, w, True, "relu"), [(2, 1, 2), (1, 2), (2, 2)]),
    "lstm": (lambda z, h, c, w: network.lstm_steps(z, h, c, w, None, False), [(2, 1, 8), (1, 2), (1, 2), (8, 2)]),
    "lstm-projected": (
        lambda z, h, c, w, r: network.lstm_steps(z, h, c, w, r, True), [(2, 1, 8), (1, 1), (1, 2), (8, 1), (1, 2)]
    ),
    "gru": (lambda z, h, w, b: network.gru_steps(z, h, w, b, False), [(2, 1, 6), (1, 2), (6, 2), (6,)]),
    "gru-reverse": (lambda z, h, w: network.gru_steps(z, h, w, None, True), [(2, 1, 6), (1, 2), (6, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("name", PRIMITIVES)
def test_first_and_second_derivatives_of_primitives(name: str, backend: Target, rng: numpy.random.Generator) -> None:
    call, shapes = PRIMITIVES[name]
    check(call, [rng.uniform(0.2, 1.0, shape) for shape in shapes], backend, order=2)


def test_the_third_derivative_of_a_layer_equals_that_of_its_cell(rng: numpy.random.Generator) -> None:
    """A layer over two steps calls its cell twice, so derivatives of every order are equal."""
    layer, cell = nn.GRU(2, 2, dtype=rustorch.float64), nn.GRUCell(2, 2, dtype=rustorch.float64)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = rng.standard_normal((2, 1, 2))

    def third(call: Callable[[rustorch.Variable], rustorch.Variable]) -> numpy.ndarray:
        leaf = value = rustorch.Variable(x, requires_grad=True)
        value = call(leaf).sum()
        for _ in range(3):
            (value,) = rustorch.grad(value, leaf, create_graph=True)
            value = (value * value).sum()
        return rustorch.grad(value, leaf)[0].data

    numpy.testing.assert_allclose(
        third(lambda v: layer(v)[0][-1, ...]), third(lambda v: cell(v[1, ...], cell(v[0, ...]))), rtol=1e-9
    )


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_inputs_that_do_not_require_grad_get_none(name: str) -> None:
    layer = getattr(nn, name)(2, 3)
    x = rustorch.ones((2, 1, 2))
    layer(x)[0].sum().backward()
    assert x.grad is None
    assert all(p.grad is not None for p in layer.parameters())
    with rustorch.no_grad():
        assert not layer(x)[0].requires_grad


def test_gradients_of_the_last_cell_state_alone(backend: Target) -> None:
    """No gradient arrives at the outputs; it counts as zeros."""
    layer = nn.LSTM(2, 2, device=backend.device, dtype=rustorch.float64)
    x = numpy.linspace(-1, 1, 8).reshape(2, 2, 2)
    check(lambda v: layer(v)[1][1], [x], backend)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_parameters_are_initially_uniform_up_to_the_bound(name: str) -> None:
    bound = 1 / 50**0.5
    for parameter in getattr(nn, name)(40, 50).parameters():
        assert abs(parameter.data).max() <= bound * (1 + 1e-6)
        assert abs(parameter.data).max() > 0.9 * bound


def test_an_empty_batch_gives_empty_outputs(backend: Target) -> None:
    out, (h, c) = nn.LSTM(2, 3, device=backend.device)(rustorch.zeros((4, 0, 2), device=backend.device))
    assert (out.shape, h.shape, c.shape) == ((4, 0, 3), (1, 0, 3), (1, 0, 3))


def test_dropout_applies_between_layers_and_only_in_training() -> None:
    layer = nn.GRU(2, 16, num_layers=2, dropout=0.5)
    x = rustorch.ones((3, 1, 2))
    assert not rustorch.all(layer(x)[0] == layer(x)[0])
    layer.eval()
    assert rustorch.all(layer(x)[0] == layer(x)[0])
    with pytest.warns(UserWarning, match="there is only one layer"):
        nn.GRU(2, 2, dropout=0.5)


# -- bad input ---------------------------------------------------------------------------------------------------------
def _v(*shape: int, dtype: str = "float32") -> rustorch.Variable:
    return rustorch.zeros(shape, dtype=dtype)


BAD_CALLS = [
    (
        lambda: nn.LSTM(3, 4)(_v(5, 2, 2)),
        ValueError,
        "LSTM: the input is (steps, batch, features), or (steps, features) for one sequence, with 3 features; got "
        "the shape (5, 2, 2)",
    ),
    (
        lambda: nn.GRU(3, 4, batch_first=True)(_v(3)),
        ValueError,
        "GRU: the input is (batch, steps, features), or (steps, features) for one sequence, with 3 features; got the "
        "shape (3,)",
    ),
    (
        lambda: nn.RNN(3, 4)(_v(0, 2, 3)),
        ValueError,
        "RNN: a sequence needs at least one step; the input has shape (0, 2, 3)",
    ),
    (
        lambda: nn.RNN(3, 4)(_v(5, 2, 3), _v(2, 4)),
        ValueError,
        "RNN: for an input of shape (5, 2, 3) the hidden state has shape (1, 2, 4), not (2, 4)",
    ),
    (
        lambda: nn.GRU(3, 4)(_v(5, 3), _v(1, 1, 4)),
        ValueError,
        "GRU: for an input of shape (5, 3) the hidden state has shape (1, 4), not (1, 1, 4)",
    ),
    (
        lambda: nn.LSTM(3, 4, proj_size=2)(_v(5, 1, 3), (_v(1, 1, 2), _v(1, 1, 2))),
        ValueError,
        "LSTM: for an input of shape (5, 1, 3) the cell state has shape (1, 1, 4), not (1, 1, 2)",
    ),
    (lambda: nn.LSTM(3, 4)(_v(5, 1, 3), _v(1, 1, 4)), TypeError, "LSTM: the state is a pair (h_0, c_0), not Variable"),
    (lambda: nn.LSTM(3, 4)(_v(5, 1, 3), (_v(1, 1, 4),)), ValueError, "LSTM: the state is 2 arrays, (h_0, c_0); got 1"),
    (
        lambda: nn.RNN(3, 4)(_v(5, 1, 3), _v(1, 1, 4, dtype="float64")),
        TypeError,
        "RNN: the input is of float32 and the hidden state of float64; layers do not convert silently. Convert the "
        "hidden state, as in x.float()",
    ),
    (lambda: nn.RNN(3, 4)(_v(5, 1, 3, dtype="int64")), TypeError, "RNN is of floating-point numbers, not of int64"),
    (
        lambda: F.gru(_v(5, 1, 3), None, [_v(12, 3)]),
        ValueError,
        "GRU: 1 layers in 1 directions have 4 parameters; got 1",
    ),
    (
        lambda: nn.GRUCell(3, 4)(_v(2, 2)),
        ValueError,
        "GRUCell: the input is (batch, features), or (features,), with 3 features; got the shape (2, 2)",
    ),
    (
        lambda: nn.RNNCell(3, 4)(_v(2, 3), _v(4)),
        ValueError,
        "RNNCell: for an input of shape (2, 3) the hidden state has shape (2, 4), not (4,)",
    ),
    (
        lambda: nn.LSTMCell(3, 4)(_v(3), (_v(4), _v(3))),
        ValueError,
        "LSTMCell: for an input of shape (3,) the cell state has shape (4,), not (3,)",
    ),
    (lambda: nn.LSTMCell(3, 4)(_v(3), _v(4)), TypeError, "LSTMCell: the state is a pair (h_0, c_0), not Variable"),
]
BAD_ARGUMENTS = [
    (lambda: nn.LSTM(0, 4), ValueError, "LSTM: input_size is positive, not 0"),
    (lambda: nn.GRU(3, 4.0), TypeError, "GRU: hidden_size is an integer, not 4.0"),
    (lambda: nn.RNN(3, 4, num_layers=-1), ValueError, "RNN: num_layers is positive, not -1"),
    (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "RNN: nonlinearity is 'tanh' or 'relu', not 'gelu'"),
    (lambda: nn.GRU(3, 4, 2, dropout=1.5), ValueError, "GRU: dropout is a share in [0, 1], not 1.5"),
    (
        lambda: nn.LSTM(3, 4, proj_size=4),
        ValueError,
        "LSTM: proj_size is smaller than hidden_size, 4, and 0 without projection; not 4",
    ),
    (lambda: nn.LSTM(3, 4, batch_first=1), TypeError, "LSTM: batch_first is True or False, not 1"),
    (
        lambda: nn.RNNCell(3, 4, nonlinearity="gelu"),
        ValueError,
        "RNNCell: nonlinearity is 'tanh' or 'relu', not 'gelu'",
    ),
    (lambda: nn.GRUCell(3, 0), ValueError, "GRUCell: hidden_size is positive, not 0"),
]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [*BAD_CALLS, *BAD_ARGUMENTS],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_bad_input_raises_and_names_the_layer(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    before = rustorch.get_rng_state()
    with pytest.raises(error, match="^" + re.escape(text)):
        call()
    if (call, error, text) in BAD_ARGUMENTS:
        assert rustorch.all(rustorch.get_rng_state() == before), "nothing was drawn"
