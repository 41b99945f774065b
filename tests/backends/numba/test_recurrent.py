"""The compiled steps of RNN, LSTM and GRU against the plain versions: directions, states, projections, threads."""

from __future__ import annotations

from functools import partial

import numpy
import pytest

import rustorch
from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba.recurrent import OVERRIDES
from tests.support.compiled import check_layer, compare, draw, threads
from tests.support.plain_namespace import PLAIN

pytestmark = pytest.mark.usefixtures("quiet")
_compare = partial(compare, OVERRIDES, bound=100)

DTYPES = ["float32", "float64"]
#: Steps, batch, width. Blocks have 256 units.
SIZES = {"small": (3, 2, 5), "one step": (1, 3, 4), "one sample": (4, 1, 7), "many": (3, 33, 40), "wide": (2, 3, 300)}


def _check_rnn(size: tuple[int, int, int], dtype: str, has_state: bool, reverse: bool, nonlinearity: str) -> None:
    _, batch, width = size
    z, w, g = draw(size, dtype, 1), draw((width, width), dtype, 2) * width**-0.5, draw(size, dtype, 3)
    h = draw((batch, width), dtype, 4) if has_state else None
    out = _compare("rnn_steps", z, h, w, reverse, nonlinearity)
    _compare("rnn_steps_grad", g, h, w, out, reverse, nonlinearity)


def _check_lstm(size: tuple[int, int, int], dtype: str, has_state: bool, reverse: bool) -> None:
    steps, batch, width = size
    z, w = draw((steps, batch, 4 * width), dtype, 1), draw((4 * width, width), dtype, 2) * width**-0.5
    h, c = [draw((batch, width), dtype, seed) if has_state else None for seed in (4, 5)]
    out, cell, *by_products = _compare("lstm_steps", z, h, c, w, None, reverse)
    g, g_cell = draw(out.shape, dtype, 6), draw(cell.shape, dtype, 7)
    _compare("lstm_steps_grad", g, g_cell, h, c, w, None, out, *by_products, reverse)


def _check_gru(size: tuple[int, int, int], dtype: str, has_state: bool, reverse: bool, has_bias: bool) -> None:
    steps, batch, width = size
    z, w = draw((steps, batch, 3 * width), dtype, 1), draw((3 * width, width), dtype, 2) * width**-0.5
    h, b = draw((batch, width), dtype, 3) if has_state else None, draw((3 * width,), dtype, 4) if has_bias else None
    out, gates, products = _compare("gru_steps", z, h, w, b, reverse)
    _compare("gru_steps_grad", draw(out.shape, dtype, 6), h, w, b, out, gates, products, reverse)


# -- ordinary numbers --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("has_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_steps(size: tuple[int, int, int], has_state: bool, reverse: bool, dtype: str) -> None:
    for nonlinearity in ("tanh", "relu"):
        _check_rnn(size, dtype, has_state, reverse, nonlinearity)
    _check_lstm(size, dtype, has_state, reverse)
    for has_bias in (False, True):
        _check_gru(size, dtype, has_state, reverse, has_bias)


@pytest.mark.parametrize("count", [1, 3])
def test_threads_share_the_batch(count: int) -> None:
    size = (4, 67, 128)  # enough products for all threads, and parts of different sizes
    with threads(count):
        _check_rnn(size, "float64", True, True, "tanh")
        _check_lstm(size, "float64", True, False)
        _check_lstm(size, "float64", False, True)
        _check_gru(size, "float64", True, False, True)


def test_other_shapes_are_numpys() -> None:
    """A weight, a state or a bias that does not fit: no compiled loop reads behind its end."""
    z, w, h, b = (draw(shape, "float32") for shape in ((3, 2, 15), (15, 5), (2, 5), (15,)))
    for weight, state, bias in ((w[:, :4], h, b), (w[:14], h, b), (w, h[:1], b), (w, h, b[:1]), (w, h[:, :4], b)):
        assert OVERRIDES["gru_steps"](z, state, weight, bias, False) is NotImplemented
        out, gates, products = OVERRIDES["gru_steps"](z, h, w, b, False)
        arguments = numpy.ones_like(out), state, weight, bias, out, gates, products, False
        assert OVERRIDES["gru_steps_grad"](*arguments) is NotImplemented
    z, w = draw((3, 2, 20), "float32"), draw((20, 5), "float32")
    out, cell, *by_products = OVERRIDES["lstm_steps"](z, h, h, w, None, False)
    for weight, state in ((w[:, :4], h), (w, h[:1])):
        assert OVERRIDES["lstm_steps"](z, h, state, weight, None, False) is NotImplemented
        arguments = numpy.ones_like(out), cell, state, h, weight, None, out, *by_products, False
        assert OVERRIDES["lstm_steps_grad"](*arguments) is NotImplemented
    z, w = z[:, :, :5], draw((5, 5), "float32")
    out = OVERRIDES["rnn_steps"](z, h, w, False, "tanh")
    for weight, state in ((w[:4], h), (w, h[:1])):
        assert OVERRIDES["rnn_steps"](z, state, weight, False, "tanh") is NotImplemented
        assert OVERRIDES["rnn_steps_grad"](out, state, weight, out, False, "tanh") is NotImplemented


def test_weights_of_odd_layouts() -> None:
    """Elements that are not aligned, or not a whole number of elements apart."""
    z, w = draw((3, 2, 20), "float32"), draw((20, 5), "float32", 1)
    for offset in (1, 4):
        records = numpy.zeros(
            (20, 5), numpy.dtype({"names": ["w"], "formats": ["f4"], "offsets": [offset], "itemsize": 10})
        )
        records["w"] = w
        _compare("lstm_steps", z, None, None, records["w"], None, False)


def test_projections_are_numpys() -> None:
    z, w, w_hr = draw((3, 2, 20), "float32"), draw((20, 3), "float32"), draw((3, 5), "float32")
    assert OVERRIDES["lstm_steps"](z, None, None, w, w_hr, False) is NotImplemented
    out, cell, *by_products = KERNELS["lstm_steps"](PLAIN, z, None, None, w, w_hr, False)
    arguments = numpy.ones_like(out), cell, None, None, w, w_hr, out, *by_products, False
    assert OVERRIDES["lstm_steps_grad"](*arguments) is NotImplemented


def test_arrays_of_every_layout() -> None:
    z, w = draw((20, 3, 4), "float32").transpose(2, 1, 0), draw((5, 20), "float32").T
    c = numpy.broadcast_to(draw((5,), "float32"), (3, 5))
    for a in (z, w):
        a.flags.writeable = False
    out, _, *by_products = _compare("lstm_steps", z, c, c, w, None, False)
    g = numpy.broadcast_to(numpy.float32(1), out.shape)
    _compare(
        "lstm_steps_grad", g, numpy.broadcast_to(numpy.float32(0), (3, 5)), c, c, w, None, out, *by_products, False
    )
    out, gates, products = _compare("gru_steps", z[..., :15], c, w[:15], w[:15, 0], True)
    _compare("gru_steps_grad", g, c, w[:15], w[:15, 0], out, gates, products, True)
    out = _compare("rnn_steps", z[..., ::4], c, w[::4], False, "relu")
    _compare("rnn_steps_grad", g, c, w[::4], out, False, "relu")


# -- special values ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [numpy.nan, numpy.inf, -numpy.inf, 1e30, 0.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_stay_in_their_samples(dtype: str, value: float) -> None:
    z, w = draw((2, 3, 20), dtype), draw((20, 5), dtype) * 0.3
    z[0, 1, ::3] = value
    h = numpy.zeros((3, 5), dtype)  # not None: then it is left out of the weight's gradient, where 0 * inf is nan
    out, cell, *by_products = _compare("lstm_steps", z, h, h, w, None, False)
    _compare("lstm_steps_grad", out, cell, h, h, w, None, out, *by_products, False)
    out, gates, products = _compare("gru_steps", z[..., :15], h, w[:15], None, False)
    _compare("gru_steps_grad", out, h, w[:15], None, out, gates, products, False)
    for nonlinearity in ("tanh", "relu"):
        out = _compare("rnn_steps", z[..., :5], h, w[:5], False, nonlinearity)
        _compare("rnn_steps_grad", out, h, w[:5], out, False, nonlinearity)
    out = OVERRIDES["lstm_steps"](z, None, None, w, None, False)[0]
    assert numpy.isfinite(out[:, ::2]).all()


# -- where NumPy serves ------------------------------------------------------------------------------------------------
def test_numpy_serves_small_arrays_and_other_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    z, w = draw((2, 3, 20), "float64"), draw((20, 5), "float64")
    for dtype in ("complex128", "float16"):
        a, b = z.astype(dtype), w.astype(dtype)
        assert OVERRIDES["lstm_steps"](a, None, None, b, None, False) is NotImplemented
        assert OVERRIDES["gru_steps"](a[..., :15], None, b[:15], None, False) is NotImplemented
        assert OVERRIDES["rnn_steps"](a[..., :5], None, b[:5], False, "tanh") is NotImplemented
    monkeypatch.undo()
    assert OVERRIDES["lstm_steps"](z, None, None, w, None, False) is NotImplemented
    assert OVERRIDES["lstm_steps"](z[:, :0], None, None, w, None, False) is NotImplemented


LAYERS = {"RNN": {"rnn_tanh", "rnn_tanh_grad"}, "LSTM": {"lstm", "lstm_grad"}, "GRU": {"gru_biased", "gru_grad"}}


@pytest.mark.parametrize(("name", "used"), LAYERS.items(), ids=LAYERS)
def test_layers_use_the_compiled_loops(name: str, used: set[str], asked: set[str]) -> None:
    """They compute the numbers that the plain version computes in float64 on another library."""
    make = getattr(rustorch.nn, name)
    layer, plain = [make(16, 24, num_layers=2, bidirectional=True) for _ in range(2)]
    plain.load_state_dict(layer.state_dict())
    check_layer(layer, plain, (5, 9, 16), lambda out: (out * out).sum())
    assert used <= asked
