"""Compares CuPy's recurrent kernels with the plain versions and layers with those on the CPU, and counts launches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.backends.kernels import KERNELS
from tests.backends.kernel_cases import as_list, converted, draw
from tests.support.launches import counted, is_stand_in
from tests.support.target import Target


def _sum(*shape: int) -> numpy.ndarray:
    """An array like the gradient of a sum: one number, repeated."""
    return numpy.broadcast_to(draw(), shape)


def _repeated(steps: int, batch: int, width: int) -> numpy.ndarray:
    """An array like the gradient of a sum over steps and units."""
    return numpy.broadcast_to(draw(1, batch, 1), (steps, batch, width))


def _view(*shape: int) -> numpy.ndarray:
    """A view that is not contiguous: every second column of an array. With three axes, the first two are swapped."""
    axes = (1, 0, 2) if len(shape) == 3 else (0, 1)
    return draw(*[shape[axis] for axis in axes[:-1]], 2 * shape[-1]).transpose(axes)[..., ::2]


def _small(*shape: int) -> numpy.ndarray:
    """Small weights for many units, so that rounding errors do not grow from step to step."""
    return 0.1 * draw(*shape)


def _rnn(make: Callable, steps: int, batch: int, width: int, reverse: bool, kind: str) -> tuple:
    return make(steps, batch, width), make(batch, width), make(width, width), reverse, kind


def _from_zeros(case: tuple, *states: int) -> tuple:
    """A case with None for the states, which are at these places."""
    return tuple([None if i in states else value for i, value in enumerate(case)])


def _rnn_grad(make: Callable, g: Callable, steps: int, batch: int, width: int, reverse: bool, kind: str) -> tuple:
    return g(steps, batch, width), make(batch, width), make(width, width), make(steps, batch, width), reverse, kind


def _lstm(make: Callable, steps: int, batch: int, width: int, projected: int, reverse: bool) -> tuple:
    size = projected or width
    return (
        make(steps, batch, 4 * width),
        make(batch, size),
        make(batch, width),
        make(4 * width, size),
        make(projected, width) if projected else None,
        reverse,
    )


def _lstm_grad(make: Callable, g: Callable, steps: int, batch: int, width: int, projected: int, reverse: bool) -> tuple:
    size = projected or width
    return (
        g(steps, batch, size),
        g(batch, width),
        make(batch, size),
        make(batch, width),
        make(4 * width, size),
        make(projected, width) if projected else None,
        make(steps, batch, size),
        make(steps, batch, 4 * width),
        make(steps, batch, width),
        make(steps, batch, width),
        reverse,
    )


def _gru(make: Callable, steps: int, batch: int, width: int, bias: bool, reverse: bool) -> tuple:
    return (
        make(steps, batch, 3 * width),
        make(batch, width),
        make(3 * width, width),
        draw(3 * width) if bias else None,
        reverse,
    )


def _gru_grad(make: Callable, g: Callable, steps: int, batch: int, width: int, bias: bool, reverse: bool) -> tuple:
    return (
        g(steps, batch, width),
        make(batch, width),
        make(3 * width, width),
        draw(3 * width) if bias else None,
        make(steps, batch, width),
        make(steps, batch, 3 * width),
        make(steps, batch, width),
        reverse,
    )


#: Cases beside those of all backends: one step, one sample, one unit; several blocks of threads; views; repeated
#: gradients.
MORE: dict[str, list[tuple]] = {
    "rnn_steps": [
        _rnn(draw, 1, 1, 1, False, "relu"),
        _rnn(_small, 5, 5, 70, False, "tanh"),
        _rnn(_small, 5, 5, 70, True, "relu"),
        _rnn(_view, 3, 2, 3, True, "tanh"),
        _from_zeros(_rnn(draw, 1, 2, 3, False, "tanh"), 1),
        _from_zeros(_rnn(draw, 4, 2, 3, True, "relu"), 1),
        (numpy.array([[[numpy.nan, numpy.inf, -numpy.inf]]] * 2), *_rnn(draw, 2, 1, 3, False, "relu")[1:]),
    ],
    "rnn_steps_grad": [
        _rnn_grad(draw, draw, 1, 1, 1, True, "tanh"),
        _rnn_grad(_small, draw, 5, 5, 70, False, "tanh"),
        _rnn_grad(_small, _sum, 5, 5, 70, True, "relu"),
        _rnn_grad(_view, _view, 3, 2, 3, True, "tanh"),
        _from_zeros(_rnn_grad(draw, draw, 1, 2, 3, True, "relu"), 1),
        _from_zeros(_rnn_grad(draw, draw, 4, 2, 3, False, "tanh"), 1),
        _rnn_grad(draw, _repeated, 3, 2, 3, False, "tanh"),
    ],
    "lstm_steps": [
        _lstm(draw, 1, 1, 1, 0, True),
        _lstm(_small, 5, 5, 70, 0, False),
        _lstm(_small, 5, 5, 70, 3, True),
        _lstm(draw, 3, 2, 2, 5, False),
        _from_zeros(_lstm(draw, 1, 2, 3, 0, False), 1, 2),
        _from_zeros(_lstm(draw, 4, 2, 3, 5, True), 1, 2),
        _lstm(_view, 3, 2, 3, 0, True),
        _lstm(_view, 3, 2, 3, 2, False),
        (1000 * draw(2, 3, 8), *_lstm(draw, 2, 3, 2, 0, False)[1:]),
    ],
    "lstm_steps_grad": [
        _lstm_grad(draw, draw, 1, 1, 1, 0, True),
        _lstm_grad(_small, _sum, 5, 5, 70, 0, False),
        _lstm_grad(_small, draw, 5, 5, 70, 0, True),
        _lstm_grad(_small, draw, 5, 5, 70, 3, True),
        _lstm_grad(draw, _sum, 3, 2, 2, 5, False),
        _lstm_grad(draw, draw, 1, 2, 3, 2, False),
        _from_zeros(_lstm_grad(draw, draw, 1, 2, 3, 0, False), 2, 3),
        _from_zeros(_lstm_grad(draw, draw, 4, 2, 3, 5, True), 2, 3),
        _lstm_grad(_view, _view, 3, 2, 3, 0, True),
        _lstm_grad(_view, _view, 3, 2, 3, 2, False),
    ],
    "gru_steps": [
        _gru(draw, 1, 1, 1, True, False),
        _gru(_small, 5, 5, 70, True, False),
        _gru(_small, 5, 5, 70, False, True),
        _gru(_view, 3, 2, 3, True, True),
        _from_zeros(_gru(draw, 1, 2, 3, True, False), 1),
        _from_zeros(_gru(draw, 4, 2, 3, False, True), 1),
        (1000 * draw(2, 3, 6), *_gru(draw, 2, 3, 2, True, False)[1:]),
    ],
    "gru_steps_grad": [
        _gru_grad(draw, draw, 1, 1, 1, True, True),
        _gru_grad(_small, _sum, 5, 5, 70, True, False),
        _gru_grad(_small, draw, 5, 5, 70, False, True),
        _gru_grad(_view, _view, 3, 2, 3, True, True),
        _from_zeros(_gru_grad(draw, draw, 1, 2, 3, True, False), 1),
        _from_zeros(_gru_grad(draw, draw, 4, 2, 3, True, True), 1),
    ],
}
PARAMS = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in MORE.items() for i, case in enumerate(cases)]


def _native(cuda: Target, a: numpy.ndarray, dtype: str) -> Any:
    """The array on the device. If it is a view, the result is the same kind of view."""
    owner = a
    while isinstance(owner.base, numpy.ndarray):
        owner = owner.base
    on_device = cuda.array(owner, dtype)
    if a is owner:
        return on_device
    if 0 in a.strides:
        return cuda.library.xp.broadcast_to(on_device, a.shape)
    return (on_device.transpose((1, 0, 2)) if a.ndim == 3 else on_device)[..., ::2]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities and nan in the plain version on NumPy
@pytest.mark.parametrize(
    ("dtype", "many"), [("float32", 1 << 30), ("float64", 0)], ids=["float32-int32", "float64-int64"]
)
@pytest.mark.parametrize(("name", "case"), PARAMS)
def test_a_recurrent_kernel_computes_what_the_plain_version_does(
    name: str, case: tuple, dtype: str, many: int, cuda: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rustorch.backends.cupy import launch

    monkeypatch.setattr(launch, "INT32_LIMIT", many)
    arguments = [converted(value, lambda a: _native(cuda, a, dtype)) for value in case]
    for given, value in zip(arguments, case, strict=True):
        if isinstance(value, numpy.ndarray):
            numpy.testing.assert_array_equal(cuda.numpy(given), value.astype(dtype))
    xp = cuda.library.xp
    expected, actual = as_list(KERNELS[name](xp, *arguments)), as_list(getattr(xp, name)(*arguments))
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    for plain, fast in zip(expected, actual, strict=True):
        if plain is None:
            assert fast is None
            continue
        plain, fast = cuda.numpy(plain), cuda.numpy(fast)
        assert (fast.shape, fast.dtype) == (plain.shape, plain.dtype)
        largest = abs(plain[numpy.isfinite(plain)]).max(initial=1)  # rounding errors grow with the largest number
        numpy.testing.assert_allclose(fast, plain, rtol=tolerance, atol=tolerance * largest)
    for given, value in zip(arguments, case, strict=True):
        if isinstance(value, numpy.ndarray):
            numpy.testing.assert_array_equal(cuda.numpy(given), value.astype(dtype))


@pytest.mark.parametrize("name", MORE)
def test_arrays_of_different_dtypes_go_to_the_plain_version(name: str, cuda: Target) -> None:
    case = MORE[name][1]
    arguments = [
        cuda.array(a, "float32" if i else "float64") if isinstance(a, numpy.ndarray) else a for i, a in enumerate(case)
    ]
    xp = cuda.library.xp
    for plain, fast in zip(as_list(KERNELS[name](xp, *arguments)), as_list(getattr(xp, name)(*arguments)), strict=True):
        if plain is not None:
            assert fast.dtype == plain.dtype
            numpy.testing.assert_array_equal(cuda.numpy(fast), cuda.numpy(plain))


# -- launches ----------------------------------------------------------------------------------------------------------
def _launches(call: Callable[[], Any]) -> int:
    """The number of launches of a call. Assert that it does not wait for the device or copy anything to it."""
    if not is_stand_in():
        pytest.skip("launches are counted on the stand-in")
    with counted() as counts:
        call()
    assert not counts.waiting
    return counts.launches.total()


#: Name -> kernel, arguments for a number of steps, launches in each step, other launches.
COUNTS: dict[str, tuple[str, Callable[[int], tuple], int, int]] = {
    "rnn": ("rnn_steps", lambda steps: _rnn(draw, steps, 2, 3, True, "tanh"), 2, 0),
    "rnn-grad": ("rnn_steps_grad", lambda steps: _rnn_grad(draw, draw, steps, 2, 3, True, "tanh"), 2, 1),
    "lstm": ("lstm_steps", lambda steps: _lstm(draw, steps, 2, 3, 0, False), 2, 0),
    "lstm-grad": ("lstm_steps_grad", lambda steps: _lstm_grad(draw, draw, steps, 2, 3, 0, False), 2, 1),
    "lstm-grad-of-a-sum": ("lstm_steps_grad", lambda steps: _lstm_grad(draw, _sum, steps, 2, 3, 0, True), 2, 1),
    "lstm-grad-of-a-view": ("lstm_steps_grad", lambda steps: _lstm_grad(draw, _view, steps, 2, 3, 0, True), 2, 3),
    "lstm-projected-views": ("lstm_steps", lambda steps: _lstm(_view, steps, 2, 3, 2, True), 3, 5),
    "lstm-projected": ("lstm_steps", lambda steps: _lstm(draw, steps, 2, 3, 2, True), 3, 0),
    "lstm-projected-grad": ("lstm_steps_grad", lambda steps: _lstm_grad(draw, draw, steps, 2, 3, 2, True), 3, 3),
    "gru": ("gru_steps", lambda steps: _gru(draw, steps, 2, 3, True, False), 2, 0),
    "gru-grad": ("gru_steps_grad", lambda steps: _gru_grad(draw, draw, steps, 2, 3, True, False), 2, 2),
    "rnn-from-zeros": ("rnn_steps", lambda steps: _from_zeros(_rnn(draw, steps, 2, 3, True, "tanh"), 1), 2, -1),
    "rnn-grad-from-zeros": (
        "rnn_steps_grad",
        lambda steps: _from_zeros(_rnn_grad(draw, draw, steps, 2, 3, True, "tanh"), 1),
        2,
        0,
    ),
    "lstm-from-zeros": ("lstm_steps", lambda steps: _from_zeros(_lstm(draw, steps, 2, 3, 0, False), 1, 2), 2, -1),
    "lstm-grad-from-zeros": (
        "lstm_steps_grad",
        lambda steps: _from_zeros(_lstm_grad(draw, draw, steps, 2, 3, 0, False), 2, 3),
        2,
        0,
    ),
    "gru-from-zeros": ("gru_steps", lambda steps: _from_zeros(_gru(draw, steps, 2, 3, True, False), 1), 2, -1),
    "gru-grad-from-zeros": (
        "gru_steps_grad",
        lambda steps: _from_zeros(_gru_grad(draw, draw, steps, 2, 3, True, False), 1),
        2,
        1,
    ),
    "gru-grad-without-bias": ("gru_steps_grad", lambda steps: _gru_grad(draw, _sum, steps, 2, 3, False, False), 2, 1),
}


@pytest.mark.parametrize("what", COUNTS)
def test_a_step_is_one_launch_and_its_products(what: str, cuda: Target) -> None:
    name, case, each, others = COUNTS[what]
    for steps in (1, 2, 7):
        arguments = [converted(value, lambda a: _native(cuda, a, "float32")) for value in case(steps)]
        assert _launches(lambda given=arguments: getattr(cuda.library.xp, name)(*given)) == each * steps + others


# -- layers ------------------------------------------------------------------------------------------------------------
#: The most launches of a forward and a backward pass over 32 steps; launches of one step in all layers and directions;
#: the layer and its arguments.
LAYERS: dict[str, tuple[int, int, type, dict[str, Any]]] = {
    "RNN": (136, 4, nn.RNN, {}),
    "LSTM": (139, 4, nn.LSTM, {}),
    "GRU": (134, 4, nn.GRU, {}),
    "RNN-relu-no-bias": (131, 4, nn.RNN, {"nonlinearity": "relu", "bias": False}),
    "LSTM-projected": (205, 6, nn.LSTM, {"proj_size": 2}),
    "LSTM-4": (558, 16, nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    "GRU-4": (539, 16, nn.GRU, {"num_layers": 2, "bidirectional": True}),
    "RNN-4": (547, 16, nn.RNN, {"num_layers": 2, "bidirectional": True}),
    "LSTM-batch-first": (140, 4, nn.LSTM, {"batch_first": True}),
}


@pytest.mark.parametrize("what", LAYERS)
def test_the_launches_of_a_layer_are_proportional_to_its_steps(what: str, cuda: Target) -> None:
    most, each, kind, options = LAYERS[what]
    layer = kind(5, 6, **options).to(cuda.device)
    counts = {}
    for steps in (8, 32):
        x = rustorch.randn((3, steps, 5) if "batch_first" in options else (steps, 3, 5), device=cuda.device)

        def both(x: rustorch.Variable = x) -> None:
            layer(x)[0].sum().backward()

        both()  # compiles the kernels
        layer.zero_grad()
        counts[steps] = _launches(both)
    assert counts[32] <= most
    assert counts[32] - counts[8] == each * 24


@pytest.mark.parametrize("what", LAYERS)
def test_a_layer_on_cuda_computes_what_it_does_on_the_cpu(what: str, cuda: Target, rng: numpy.random.Generator) -> None:
    kind, options = LAYERS[what][2:]
    layer = kind(3, 4, dtype=rustorch.float64, **options)
    x = rng.standard_normal((5, 4, 3))
    _, after = layer(rustorch.Variable(x))
    states = [rng.standard_normal(state.shape) for state in (after if kind is nn.LSTM else [after])]

    def run(device: str) -> list[numpy.ndarray]:
        layer.to(device)
        layer.zero_grad()
        inputs = [rustorch.Variable(a, device=device, requires_grad=True) for a in (x, *states)]
        out, after = layer(inputs[0], tuple(inputs[1:]) if kind is nn.LSTM else inputs[1])
        outs = [out, *(after if kind is nn.LSTM else [after])]
        loss = sum(((i + 1.0) * (o * o).sum() for i, o in enumerate(outs)), start=rustorch.zeros((), device=device))
        loss.backward()
        grads = [leaf.grad for leaf in (*inputs, *layer.parameters())]
        return [cuda.numpy(a) for a in (*outs, *grads)]

    for expected, actual in zip(run("cpu"), run(cuda.device), strict=True):
        numpy.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


def test_states_share_no_memory_with_the_output(cuda: Target) -> None:
    x = rustorch.ones((2, 1, 3), device=cuda.device)
    with rustorch.no_grad():
        out, (h, c) = nn.LSTM(3, 4).to(cuda.device)(x)
        before = [cuda.numpy(state) for state in (h, c)]
        out[...] = 0.0
        h[...] = h + 1.0
    numpy.testing.assert_array_equal(cuda.numpy(h), before[0] + 1)
    numpy.testing.assert_array_equal(cuda.numpy(c), before[1])
    assert not cuda.numpy(out).any()
