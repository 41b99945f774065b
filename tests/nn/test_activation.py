"""Activations: values, first and second derivatives, numbers far from 0, in place, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.reference import cases
from tests.support.differences import check
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CPU = Target("cpu")

# -- layers ------------------------------------------------------------------------------------------------------------
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


# -- derivatives -------------------------------------------------------------------------------------------------------
#: Numbers on both sides of all corners.
X = numpy.array([-6.5, -2.2, -0.9, -0.2, 0.3, 0.8, 1.7, 6.4])

#: Name -> function, and the numbers at which it is differentiated.
SMOOTH: dict[str, tuple[Callable[..., Any], list[numpy.ndarray]]] = {
    "erf": (network.erf, [X]),
    "gelu": (F.gelu, [numpy.append(X, 0.0)]),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), [numpy.append(X, 0.0)]),
    "gelu_grad": (lambda g, x: network.gelu_grad(g, x, F.gelu(x.detach())), [X[::-1].copy(), X]),
    "elu": (lambda x: F.elu(x, 0.7), [X]),
    "celu": (lambda x: F.celu(x, 1.5), [X]),
    "selu": (F.selu, [X]),
    "silu": (F.silu, [numpy.append(X, 0.0)]),
    "mish": (F.mish, [numpy.append(X, 0.0)]),
    "softplus": (lambda x: F.softplus(x, 2.0, 5.0), [X]),
    "logsigmoid": (F.logsigmoid, [numpy.append(X, 0.0)]),
    "softsign": (F.softsign, [X]),
    "tanhshrink": (F.tanhshrink, [X]),
    "glu": (F.glu, [X]),
    "leaky_relu": (F.leaky_relu, [X]),
    "prelu": (F.prelu, [X.reshape(4, 2), numpy.array([0.5, -0.25])]),
    "threshold": (lambda x: F.threshold(x, 0.5, 2.0) * x, [X]),
    "hardtanh": (lambda x: F.hardtanh(x) * x, [X]),
    "relu6": (lambda x: F.relu6(x) * x, [X]),
    "hardsigmoid": (lambda x: F.hardsigmoid(x) * x, [X]),
    "hardswish": (F.hardswish, [X]),
    "hardshrink": (lambda x: F.hardshrink(x) * x, [X]),
    "softshrink": (lambda x: F.softshrink(x) * x, [X]),
    "softmin": (lambda x: F.softmin(x, 0), [X[2:6]]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_first_and_second_derivatives_equal_central_differences(name: str) -> None:
    call, at = SMOOTH[name]
    check(call, at, CPU, order=2)


@pytest.mark.parametrize("name", ["erf", "gelu", "elu", "prelu"])
def test_second_derivatives_on_every_backend(name: str, backend: Target) -> None:
    call, at = SMOOTH[name]
    check(call, [at[0][:4]] if len(at) == 1 else at, backend, order=2)


# -- the error function ------------------------------------------------------------------------------------------------
def test_erf_is_exact_to_the_last_bits(backend: Target) -> None:
    x = numpy.concatenate([numpy.linspace(-7, 7, 2801), numpy.logspace(-300, 0, 300), [0.46875, 4.0, 5.9, 6.0, 1e30]])
    expected = numpy.array([math.erf(v) for v in x])
    numpy.testing.assert_allclose(backend.numpy(network.erf(backend.variable(x))), expected, rtol=1e-15, atol=0)
    # in float32, a few units in the last place
    single = numpy.array([math.erf(v) for v in x.astype("float32")])
    numpy.testing.assert_allclose(
        backend.numpy(network.erf(backend.variable(x, "float32"))), single, rtol=1e-6, atol=1e-38
    )


def test_erf_at_infinity_and_nan(backend: Target) -> None:
    x = backend.variable([numpy.inf, -numpy.inf, numpy.nan, 0.0, -0.0])
    out = backend.numpy(network.erf(x))
    numpy.testing.assert_array_equal(out, [1, -1, numpy.nan, 0, 0])
    numpy.testing.assert_array_equal(numpy.signbit(out[3:]), [False, True])


# -- extremes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", [name for name in SMOOTH if name not in ("gelu_grad", "prelu", "glu", "softmin", "erf")]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_overflows_far_from_0(name: str, dtype: str) -> None:
    """Warnings are errors: unused branches must not overflow either."""
    x = CPU.variable([-1e4, -100.0, 100.0, 1e4], dtype, requires_grad=True)
    out = SMOOTH[name][0](x)
    out.sum().backward()
    assert numpy.isfinite(CPU.numpy(out)).all()
    assert numpy.isfinite(CPU.numpy(x.grad)).all()
    assert out.dtype == rustorch.Variable(x.grad).dtype == dtype


@pytest.mark.parametrize("name", [name for name in SMOOTH if name not in ("gelu_grad", "prelu", "erf")])
def test_nan_stays_nan(name: str) -> None:
    assert numpy.isnan(CPU.numpy(SMOOTH[name][0](CPU.variable([numpy.nan, numpy.nan])))).all()


# -- in place ----------------------------------------------------------------------------------------------------------
IN_PLACE: dict[str, Callable[..., Any]] = {
    "relu": F.relu_,
    "leaky_relu": F.leaky_relu_,
    "elu": F.elu_,
    "celu": F.celu_,
    "selu": F.selu_,
    "hardtanh": F.hardtanh_,
    "rrelu": F.rrelu_,
    "threshold": lambda x: F.threshold_(x, 0.0, 1.0),
    "silu": lambda x: F.silu(x, inplace=True),
    "mish": lambda x: F.mish(x, inplace=True),
    "relu6": lambda x: F.relu6(x, inplace=True),
    "hardsigmoid": lambda x: F.hardsigmoid(x, inplace=True),
    "hardswish": lambda x: F.hardswish(x, inplace=True),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_returns_its_input_and_refuses_a_leaf(name: str) -> None:
    x = CPU.variable([-1.0, 2.0])
    assert IN_PLACE[name](x) is x
    assert x.tolist() != [-1.0, 2.0] or name in ("silu", "mish")
    leaf = CPU.variable([-1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=rf"{name}\(inplace=True\) on a leaf that requires grad"):
        IN_PLACE[name](leaf)
    assert leaf.tolist() == [-1.0, 2.0]


# -- bad input ---------------------------------------------------------------------------------------------------------
_x = CPU.variable([[1.0, -2.0, 3.0]])
BAD: dict[str, Bad] = {
    "integers": (
        lambda: F.elu(CPU.variable([1], "int64")),
        TypeError,
        "elu is of floating-point numbers, not of int64.*astype",
    ),
    "complex": (
        lambda: F.gelu(CPU.variable([1j], "complex128")),
        TypeError,
        "gelu is of real numbers, not of complex128",
    ),
    "list": (lambda: nn.SiLU()([1.0]), TypeError, "silu takes Variables.*not list"),
    "gelu": (lambda: F.gelu(_x, "erf"), ValueError, "gelu: approximate is 'none' or 'tanh', not 'erf'"),
    "GELU": (lambda: nn.GELU("erf"), ValueError, "GELU: approximate is 'none' or 'tanh', not 'erf'"),
    "glu odd": (
        lambda: nn.GLU()(_x),
        ValueError,
        r"glu: dimension 1 of the input cannot be halved: its size is odd in shape \(1, 3\)",
    ),
    "glu scalar": (lambda: F.glu(CPU.variable(1.0)), ValueError, r"glu: the input needs a dimension to halve"),
    "glu dim": (lambda: F.glu(_x, 2), IndexError, "axis 2 is out of range for an array of 2 dimensions"),
    "softplus": (lambda: F.softplus(_x, 0), ValueError, "softplus: beta is a divisor and must not be 0"),
    "Softplus": (lambda: nn.Softplus(0), ValueError, "Softplus: beta is a divisor"),
    "celu": (lambda: F.celu(_x, 0), ValueError, "celu: alpha is a divisor"),
    "CELU": (lambda: nn.CELU(0.0), ValueError, "CELU: alpha is a divisor"),
    "hardtanh": (lambda: F.hardtanh(_x, 1, -1), ValueError, "hardtanh: min_val=1 is above max_val=-1"),
    "Hardtanh": (lambda: nn.Hardtanh(1.0, 1.0), ValueError, "Hardtanh: min_val=1.0 is not below max_val=1.0"),
    "softshrink": (lambda: F.softshrink(_x, -1), ValueError, "softshrink: lambd must be at least 0, not -1"),
    "Softshrink": (lambda: nn.Softshrink(-1.0), ValueError, "Softshrink: lambd must be at least 0, not -1.0"),
    "RReLU": (lambda: nn.RReLU(0.5, 0.1), ValueError, "RReLU: lower=0.5 is above upper=0.1"),
    "PReLU": (lambda: nn.PReLU(0), ValueError, "PReLU: num_parameters is 1 or a number of channels, not 0"),
    "prelu channels": (
        lambda: nn.PReLU(2, dtype="float64")(_x),
        ValueError,
        r"prelu: 2 weights for an input of shape \(1, 3\), which has 3 channels",
    ),
    "prelu weight": (
        lambda: F.prelu(_x, CPU.variable([[1.0]])),
        ValueError,
        r"prelu: the weight has one dimension or none",
    ),
    "prelu dtype": (lambda: nn.PReLU()(_x), TypeError, "prelu: the input is of float64 and the weight of float32"),
    "Softmax2d": (
        lambda: nn.Softmax2d()(_x),
        ValueError,
        r"Softmax2d: the input is \(n, channels, height, width\).*not \(1, 3\)",
    ),
    "softmin": (
        lambda: F.softmin(CPU.variable(1.0), 1),
        IndexError,
        "softmin: axis 1 is out of range for an array of 1 dimensions",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_says_what_to_write(name: str) -> None:
    check_error(BAD[name])
