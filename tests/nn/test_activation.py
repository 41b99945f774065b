"""Activation layers: values, options, and how they print."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases
from tests.support.target import Target

LAYERS = {
    "ReLU": (nn.ReLU(), lambda x: numpy.maximum(x, 0)),
    "Sigmoid": (nn.Sigmoid(), lambda x: 1 / (1 + numpy.exp(-x))),
    "Tanh": (nn.Tanh(), numpy.tanh),
    "Softmax": (nn.Softmax(dim=1), lambda x: numpy.exp(x) / numpy.exp(x).sum(axis=1, keepdims=True)),
    "LogSoftmax": (nn.LogSoftmax(dim=0), lambda x: x - numpy.log(numpy.exp(x).sum(axis=0, keepdims=True))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_compute_their_formula(name: str, backend: Target) -> None:
    layer, formula = LAYERS[name]
    x = cases.numbers((3, 4), scale=4.0)
    out = layer(backend.variable(x))
    numpy.testing.assert_allclose(backend.numpy(out), formula(x), rtol=1e-13, atol=1e-15)
    assert out.device == backend.device


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_reach_the_input(name: str, backend: Target) -> None:
    layer, _ = LAYERS[name]
    x = backend.variable(cases.numbers((3, 4)), requires_grad=True)
    (layer(x) * backend.variable(cases.output_gradient((3, 4)))).sum().backward()
    assert numpy.count_nonzero(backend.numpy(x.grad)) >= 5
    assert rustorch.Variable(x.grad).device == backend.device


@pytest.mark.parametrize("name", LAYERS)
def test_activations_have_no_state(name: str) -> None:
    layer, _ = LAYERS[name]
    assert list(layer.parameters()) == []
    assert layer.state_dict() == {}


@pytest.mark.parametrize("make", [nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Softmax, nn.LogSoftmax, nn.Flatten, nn.MSELoss])
def test_device_and_dtype_are_accepted_and_checked(make: type, backend: Target) -> None:
    make(device=backend.device, dtype=rustorch.float32)
    with pytest.raises(ValueError, match="unknown device 'nowhere'"):
        make(device="nowhere")
    with pytest.raises(TypeError, match="float7"):
        make(dtype="float7")


def test_relu_in_place_returns_its_input(backend: Target) -> None:
    x = backend.variable([1.0, -1.0])
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [1.0, 0.0]
    y = backend.variable([1.0, -1.0])
    assert nn.ReLU()(y) is not y
    assert y.tolist() == [1.0, -1.0]


def test_relu_in_place_trains_like_relu(backend: Target) -> None:
    gradients = []
    for inplace in (False, True):
        rustorch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace), nn.Linear(4, 1)).to(backend.device)
        model(backend.variable(cases.numbers((5, 3)), "float32")).sum().backward()
        gradients.append([backend.numpy(p.grad) for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        numpy.testing.assert_array_equal(one, other)


def test_relu_keeps_nan_and_has_gradient_0_at_0(backend: Target) -> None:
    x = backend.variable([numpy.nan, 0.0, -0.0, 3.0], requires_grad=True)
    out = nn.ReLU()(x)
    out.backward(backend.variable([1.0, 1.0, 1.0, 1.0]))
    numpy.testing.assert_array_equal(backend.numpy(out), [numpy.nan, 0, 0, 3])
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [1, 0, 0, 1])


def test_gelu_has_gradient_one_half_near_0(backend: Target) -> None:
    """Also for tiny inputs, half of which GPUs and JAX round to 0."""
    x = backend.variable([0.0, 1.5e-38, -1.5e-38, 2e-30, -1e-20], "float32", requires_grad=True)
    nn.functional.gelu(x).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.float32(0.5))
