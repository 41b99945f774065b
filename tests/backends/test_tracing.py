"""rustorch under ``jax.jit``: a compiled training step returns the same numbers as the uncompiled one."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F


@pytest.fixture
def jax(request: pytest.FixtureRequest) -> Any:
    chosen = request.config.getoption("--backend")
    if chosen and "jax" not in chosen:
        pytest.skip("jax was not chosen")
    module = pytest.importorskip("jax")
    rustorch.backends.resolve("jax")
    return module


def test_a_training_step_compiles(jax: Any) -> None:
    draw = numpy.random.default_rng(0).standard_normal
    weights = [jax.numpy.asarray(draw(shape)) for shape in ((5, 4), (5,), (3, 5))]
    x, y = jax.numpy.asarray(draw((16, 4))), jax.numpy.asarray(numpy.arange(16) % 3)

    def step(weights: list, x: Any, y: Any) -> tuple:
        w1, b1, w2 = (rustorch.Variable(w, requires_grad=True) for w in weights)
        loss = F.cross_entropy(F.linear(F.relu(F.linear(x, w1, b1)), w2), y, label_smoothing=0.1)
        loss.backward()
        return loss.data, [v.data - 0.1 * v.grad for v in (w1, b1, w2)]

    loss, updated = step(weights, x, y)
    compiled_loss, compiled = jax.jit(step)(weights, x, y)
    assert float(compiled_loss) == pytest.approx(float(loss), rel=1e-12)
    for eager, traced, before in zip(updated, compiled, weights, strict=True):
        numpy.testing.assert_allclose(traced, eager, rtol=1e-12, atol=1e-12)
        assert abs(numpy.asarray(eager - before)).max() > 0


#: All options of SGD: each is a branch of the traced step.
OPTIONS = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "dampening": {"momentum": 0.5, "dampening": 0.1, "maximize": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_step_of_module_and_optimizer_compiles(jax: Any, options: dict) -> None:
    """One compiled function: model, loss, backward and SGD with momentum. It takes weights and buffers and returns new
    ones.
    """
    draw = numpy.random.default_rng(1).standard_normal
    x, y = draw((16, 4)), draw((16, 2))
    traces = []

    def model_and_optimizer(device: str) -> tuple:
        rustorch.manual_seed(3)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).to(device=device, dtype=rustorch.float64)
        return model, rustorch.SGD(model.parameters(), lr=0.05, **options)

    def train(model: nn.Module, optimizer: rustorch.SGD, x: Any, y: Any) -> rustorch.Variable:
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def step(weights: list, state: dict, x: Any, y: Any) -> tuple:
        traces.append(len(traces))
        model, optimizer = model_and_optimizer("jax")
        for p, weight in zip(model.parameters(), weights, strict=True):
            p.data = weight
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        loss = train(model, optimizer, x, y)
        after = optimizer.state_dict()["state"]
        buffers = {i: {name: v.data for name, v in entries.items()} for i, entries in after.items()}
        return loss.data, [p.data for p in model.parameters()], buffers

    model = model_and_optimizer("jax")[0]
    weights, state = [p.data for p in model.parameters()], {}
    compiled = jax.jit(step)
    reference, reference_optimizer = model_and_optimizer("cpu")
    for _ in range(5):
        expected_loss, expected, expected_state = step(weights, state, jax.numpy.asarray(x), jax.numpy.asarray(y))
        loss, weights, state = compiled(weights, state, jax.numpy.asarray(x), jax.numpy.asarray(y))
        on_cpu = train(reference, reference_optimizer, x, y)
        assert float(loss) == pytest.approx(float(expected_loss), rel=1e-12) == pytest.approx(on_cpu.item(), rel=1e-12)
        for got, want, p in zip(weights, expected, reference.parameters(), strict=True):
            numpy.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
            numpy.testing.assert_allclose(got, p.data, rtol=1e-10, atol=1e-12)
        for i, entries in expected_state.items():
            numpy.testing.assert_allclose(
                state[i]["momentum_buffer"], entries["momentum_buffer"], rtol=1e-12, atol=1e-14
            )
    assert len(state) == 4
    assert len(traces) == 5 + 2, "one trace without buffers, one with them; the other calls ran compiled code"


def test_second_derivatives_compile(jax: Any) -> None:
    x = jax.numpy.asarray([0.3, -1.2, 2.0])

    def curvature(x: Any) -> Any:
        v = rustorch.Variable(x, requires_grad=True)
        (first,) = rustorch.grad(rustorch.sum(rustorch.tanh(v) ** 2), v, create_graph=True)
        (second,) = rustorch.grad(rustorch.sum(first), v)
        return second.data

    expected = jax.vmap(jax.grad(jax.grad(lambda t: jax.numpy.tanh(t) ** 2)))(x)
    numpy.testing.assert_allclose(jax.jit(curvature)(x), expected, rtol=1e-12)
    numpy.testing.assert_allclose(curvature(x), expected, rtol=1e-12)


def test_derivatives_of_determinants_compile(jax: Any) -> None:
    """The test for singular matrices is a branch that JAX traces."""

    def derivatives(x: Any) -> tuple:
        x = rustorch.Variable(x, requires_grad=True)
        (first,) = rustorch.grad(rustorch.linalg.det(x).sum(), x, create_graph=True)
        return first.data, rustorch.grad((first * first).sum(), x)[0].data

    for matrix in ([[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]):
        x = jax.numpy.asarray(matrix)
        for traced, eager in zip(jax.jit(derivatives)(x), derivatives(x), strict=True):
            numpy.testing.assert_allclose(traced, eager, rtol=1e-12, atol=1e-12)


def test_attention_and_recurrent_layers_compile(jax: Any) -> None:
    layers = [nn.TransformerEncoderLayer(2, 1, 2, dropout=0.0), nn.LSTM(2, 2)]
    attention, lstm = (layer.double().to("jax").requires_grad_(False) for layer in layers)
    mask = nn.Transformer.generate_square_subsequent_mask(2, "jax")
    x = jax.numpy.asarray(numpy.random.default_rng(2).standard_normal((2, 1, 2)))

    def gradient(x: Any) -> Any:
        v = rustorch.Variable(x, requires_grad=True)
        out, (_, cell) = lstm(attention(v, mask, is_causal=True))
        ((out * out).sum() + cell.sum()).backward()
        return v.grad

    numpy.testing.assert_allclose(jax.jit(gradient)(x), gradient(x), rtol=1e-12, atol=1e-14)
