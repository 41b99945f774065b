"""rustorch under ``jax.jit``: a whole training step is traced, compiled, and equal to the uncompiled one."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
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
