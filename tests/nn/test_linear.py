"""Linear and bilinear: values, gradients, initial parameters, bad input."""

from __future__ import annotations

import math

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases
from tests.support.differences import check
from tests.support.target import Target


def test_linear_computes_its_formula(backend: Target) -> None:
    layer = nn.Linear(3, 2, device=backend.device, dtype=rustorch.float64)
    assert (layer.weight.shape, layer.bias.shape) == ((2, 3), (2,))
    x = numpy.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    expected = x @ backend.numpy(layer.weight).T + backend.numpy(layer.bias)
    out = layer(backend.variable(x))
    numpy.testing.assert_allclose(backend.numpy(out), expected, rtol=1e-14)
    assert (out.device, out.dtype) == (backend.device, rustorch.float64)


def test_gradients_of_input_and_parameters(backend: Target, rng: numpy.random.Generator) -> None:
    layer = nn.Linear(3, 2, device=backend.device, dtype=rustorch.float64)
    x, g = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 2))
    leaf = backend.variable(x, requires_grad=True)
    layer(leaf).backward(backend.variable(g))
    numpy.testing.assert_allclose(backend.numpy(leaf.grad), g @ backend.numpy(layer.weight), rtol=1e-12)
    numpy.testing.assert_allclose(backend.numpy(layer.weight.grad), numpy.einsum("abo,abi->oi", g, x), rtol=1e-12)
    numpy.testing.assert_allclose(backend.numpy(layer.bias.grad), g.sum(axis=(0, 1)), rtol=1e-12)


def test_bias_false_means_no_parameter(backend: Target) -> None:
    layer = nn.Linear(3, 2, bias=False, device=backend.device)
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert list(layer.state_dict()) == ["weight"]
    out = layer(backend.variable([1.0, 0.0, 0.0], "float32"))
    numpy.testing.assert_array_equal(backend.numpy(out), backend.numpy(layer.weight)[:, 0])


@pytest.mark.parametrize("features", [(0, 2), (3, 0), (0, 0)])
def test_linear_takes_0_features(features: tuple[int, int], backend: Target) -> None:
    layer = nn.Linear(*features, device=backend.device)
    x = backend.variable(numpy.ones((4, features[0])), "float32", requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert out.shape == (4, features[1])
    assert rustorch.Variable(x.grad).shape == x.shape
    numpy.testing.assert_array_equal(backend.numpy(layer.bias.grad), numpy.full(features[1], 4.0))


def test_parameters_start_uniform_up_to_one_over_the_root_of_the_inputs(backend: Target) -> None:
    layer = nn.Linear(400, 300, device=backend.device)
    bound = 1 / math.sqrt(400)
    for values in (backend.numpy(layer.weight), backend.numpy(layer.bias)):
        assert values.min() < -0.95 * bound
        assert values.max() > 0.95 * bound
        assert abs(values).max() <= bound * (1 + 1e-6)  # float32
    # four standard errors of 120,000 uniform numbers
    assert abs(backend.numpy(layer.weight).mean()) < 4 * bound / math.sqrt(3 * 120_000)
    assert backend.numpy(layer.weight).std() == pytest.approx(bound / math.sqrt(3), rel=0.01)


def test_one_seed_gives_the_same_initial_weights_on_every_backend(backend: Target) -> None:
    def start(device: str, draw_between: bool) -> list[numpy.ndarray]:
        rustorch.manual_seed(11)
        first = nn.Linear(5, 4, device=device)
        if draw_between:
            rustorch.rand(7)
            rustorch.randn(3, device=device)
        second = nn.Linear(4, 3, device=device, dtype=rustorch.float64)
        return [backend.numpy(p) for layer in (first, second) for p in layer.parameters()]

    for got, want in zip(start(backend.device, True), start("cpu", False), strict=True):
        assert got.dtype == want.dtype
        numpy.testing.assert_array_equal(got, want)


def test_reset_parameters_draws_new_values_in_place() -> None:
    layer = nn.Linear(3, 2)
    parameters, before = list(layer.parameters()), layer.weight.tolist()
    layer.reset_parameters()
    assert list(map(id, layer.parameters())) == list(map(id, parameters))
    assert layer.weight.tolist() != before
    assert layer.weight.requires_grad
    assert layer.weight.grad_fn is None


def test_parameters_are_made_on_the_default_device(backend: Target) -> None:
    with rustorch.set_default_device(backend.device):
        assert nn.Linear(2, 1).weight.device == backend.device
    assert nn.Linear(2, 1).weight.device == "cpu"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 2), ValueError, "Linear: in_features is a number of features, not -1"),
        ((2, 2.0), ValueError, "Linear: out_features is a number of features, not 2.0"),
        ((True, 2), ValueError, "Linear: in_features is a number of features, not True"),
        ((2, 2, True, "nowhere"), ValueError, "unknown device 'nowhere'"),
        ((2, 2, True, None, "float7"), TypeError, "float7"),
    ],
)
def test_bad_arguments(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.Linear(*arguments)


@pytest.mark.parametrize("shape", [(2, 4), (2,), (3, 2, 1), ()])
def test_a_wrong_feature_size_raises_and_nothing_changes(shape: tuple, backend: Target) -> None:
    layer = nn.Linear(3, 2, device=backend.device)
    state = {name: value.tolist() for name, value in layer.state_dict().items()}
    x = backend.variable(numpy.ones(shape), "float32", requires_grad=True)
    with pytest.raises(
        ValueError, match=r"linear: the input has shape .*, but a weight of shape \(2, 3\) takes 3 features"
    ):
        layer(x)
    assert x.grad is None
    assert all(p.grad is None for p in layer.parameters())
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == state


# -- bilinear ----------------------------------------------------------------------------------------------------------
def test_bilinear_has_second_derivatives() -> None:
    at = [cases.numbers(shape, i) for i, shape in enumerate([(2, 2), (2, 3), (2, 2, 3), (2,)])]
    check(nn.functional.bilinear, at, Target("cpu"), order=2)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ((2, 3), (2, 3)),
            r"bilinear: the inputs have shapes \(2, 3\) and \(2, 3\), but a weight of shape \(4, 2, 3\) takes 2 and 3",
        ),
        (((5, 2), (4, 3)), r"bilinear: the inputs' leading sizes are equal, not \(5,\) and \(4,\)"),
        (((), (3,)), r"the inputs have shapes \(\) and \(3,\)"),
    ],
)
def test_bilinear_refuses_shapes_that_do_not_fit(shapes: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Bilinear(2, 3, 4)(*[rustorch.ones(shape) for shape in shapes])


def test_bilinear_refuses_bad_sizes() -> None:
    with pytest.raises(ValueError, match="Bilinear: in2_features is a number of features, not -1"):
        nn.Bilinear(2, -1, 4)
    with pytest.raises(ValueError, match="Bilinear: in1_features is positive, not 0"):
        nn.Bilinear(0, 1, 4)
