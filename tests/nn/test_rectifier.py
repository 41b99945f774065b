"""RReLU draws its slopes, and PReLU learns them."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.reference import cases
from tests.support.target import Target

CPU = Target("cpu")


def test_rrelu_draws_its_slopes_in_training(backend: Target) -> None:
    x = backend.variable(-numpy.ones(200), requires_grad=True)
    layer = nn.RReLU(0.25, 0.75)
    out = layer(x)
    out.sum().backward()
    slopes = backend.numpy(x.grad)
    numpy.testing.assert_allclose(backend.numpy(out), -slopes)
    assert 0.25 <= slopes.min() < 0.3 and 0.7 < slopes.max() < 0.75
    assert abs(slopes.mean() - 0.5) < 0.05
    numpy.testing.assert_allclose(backend.numpy(layer.eval()(x)), -0.5 * numpy.ones(200))


def test_a_failed_rrelu_draws_no_random_numbers() -> None:
    before = rustorch.random.get_rng_state("cpu").tolist()
    with pytest.raises(ValueError, match=r"rrelu: lower=0.5 is above upper=0.25"):
        F.rrelu(CPU.variable([1.0]), 0.5, 0.25, training=True)
    with pytest.raises(RuntimeError, match="leaf that requires grad"):
        F.rrelu_(CPU.variable([1.0], requires_grad=True), training=True)
    with pytest.raises(TypeError, match="rrelu is of floating-point numbers"):
        F.rrelu(CPU.variable([1], "int64"), training=True)
    assert rustorch.random.get_rng_state("cpu").tolist() == before


def test_prelu_learns_one_slope_for_each_channel(backend: Target) -> None:
    layer = nn.PReLU(2, init=0.5, device=backend.device, dtype="float64")
    layer(backend.variable(cases.numbers((3, 2, 2)))).sum().backward()
    x = cases.numbers((3, 2, 2))
    numpy.testing.assert_allclose(backend.numpy(layer.weight.grad), numpy.minimum(x, 0).sum(axis=(0, 2)))
    with rustorch.no_grad():
        layer.weight[...] = 3.0
    layer.reset_parameters()
    assert layer.weight.tolist() == [0.5, 0.5]
