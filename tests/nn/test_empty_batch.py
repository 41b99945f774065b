"""Layers and products of empty arrays: shapes of outputs and gradients, unchanged running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support.target import Target

PRODUCTS = [
    ((2, 4, 3), (3, 0)),
    ((2, 4, 0), (0, 5)),
    ((0, 4, 3), (3, 5)),
    ((2, 0, 3), (3, 5)),
    ((0,), (0,)),
    ((2, 4, 0), (0,)),
    ((0, 0), (0, 0)),
    ((2, 4, 0), (0, 0)),
    ((2, 0, 3), (3, 0)),
    ((0, 3), (3,)),
    ((3,), (2, 3, 0)),
]
NORMS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "layer_norm": (lambda x: F.layer_norm(x, (3,)), (0, 3)),
    "layer_norm of no sizes": (lambda x: F.layer_norm(x, (0,)), (2, 0)),
    "rms_norm": (lambda x: F.rms_norm(x, 3), (0, 3)),
    "group_norm": (lambda x: F.group_norm(x, 2), (0, 4)),
    "group_norm of no length": (lambda x: F.group_norm(x, 2), (2, 4, 0)),
    "instance_norm": (F.instance_norm, (0, 3, 4)),
    "instance_norm of no length": (F.instance_norm, (2, 3, 0)),
    "normalize": (F.normalize, (0, 3)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), (0, 3)),
    "local_response_norm": (lambda x: F.local_response_norm(x, 2), (0, 4, 3)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (0, 2, 4, 4)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (0, 2, 4, 4)),
    "lp_pool2d": (lambda x: F.lp_pool2d(x, 2, 2), (0, 2, 4, 4)),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, 3), (0, 2, 4, 4)),
    "fractional": (lambda x: F.fractional_max_pool2d(x, 2, 2), (0, 2, 4, 4)),
}


def _zeros(backend: Target, *shapes: tuple[int, ...]) -> list:
    return [backend.variable(numpy.zeros(shape), requires_grad=True) for shape in shapes]


def _check(function: Callable[..., Any], inputs: list) -> None:
    """Assert that first and second derivatives exist and have the shapes of the inputs."""
    out = function(*inputs)
    gradients = rustorch.grad(rustorch.sum(out * out), inputs, create_graph=True)
    for g, x in zip(gradients, inputs, strict=True):
        assert g.shape == x.shape
    sum(rustorch.sum(g * g) for g in gradients).backward()


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_products_of_empty_arrays(backend: Target, shapes: tuple) -> None:
    _check(rustorch.matmul, _zeros(backend, *shapes))


@pytest.mark.parametrize(
    ("x", "weight"), [((2, 4, 3), (0, 3)), ((2, 4, 0), (5, 0)), ((2, 0, 0), (0, 0)), ((0, 3), (2, 3))], ids=str
)
def test_linear_of_empty_arrays(backend: Target, x: tuple, weight: tuple) -> None:
    _check(F.linear, _zeros(backend, x, weight))


@pytest.mark.parametrize("name", NORMS)
def test_layers_of_empty_batches(backend: Target, name: str) -> None:
    function, shape = NORMS[name]
    _check(function, _zeros(backend, shape))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d, (0, 3)),
        (nn.BatchNorm1d, (0, 3, 4)),
        (nn.BatchNorm1d, (2, 3, 0)),
        (nn.BatchNorm2d, (0, 3, 2, 2)),
        (nn.BatchNorm3d, (0, 3, 1, 2, 2)),
    ],
)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_of_an_empty_batch(backend: Target, layer: Any, shape: tuple, momentum: float | None) -> None:
    model = layer(3, momentum=momentum, device=backend.device)
    x = backend.variable(numpy.zeros(shape, "float32"), "float32", requires_grad=True)
    out = model(x)
    assert out.shape == shape
    out.sum().backward()
    assert x.grad.shape == shape
    numpy.testing.assert_array_equal(backend.numpy(model.weight.grad), numpy.zeros(3))
    numpy.testing.assert_array_equal(backend.numpy(model.bias.grad), numpy.zeros(3))
    numpy.testing.assert_array_equal(backend.numpy(model.running_mean), numpy.zeros(3))
    numpy.testing.assert_array_equal(backend.numpy(model.running_var), numpy.ones(3))
    assert int(model.num_batches_tracked) == 1
    assert model.eval()(x).shape == shape


# -- eps ---------------------------------------------------------------------------------------------------------------
def test_normalization_refuses_a_bad_eps() -> None:
    x, image = rustorch.ones((4, 3)), rustorch.ones((2, 4, 3))
    layer = nn.BatchNorm1d(3, eps=-1)
    for eps in (-1.0, 0.0):
        with pytest.raises(ValueError, match=f"batch_norm: eps must be positive during training, but got {eps}"):
            F.batch_norm(x, None, None, training=True, eps=eps)
    with pytest.raises(ValueError, match="batch_norm: eps must be positive during training, but got -1"):
        layer(x)
    assert int(layer.num_batches_tracked) == 0
    with pytest.raises(ValueError, match="batch_norm: eps must be non-negative, but got -1"):
        layer.eval()(x)
    for name, call in {
        "layer_norm": lambda: F.layer_norm(x, 3, eps=-1.0),
        "rms_norm": lambda: F.rms_norm(x, 3, eps=-1.0),
        "group_norm": lambda: F.group_norm(image, 2, eps=-1.0),
        "instance_norm": lambda: F.instance_norm(image, eps=-1.0),
    }.items():
        with pytest.raises(ValueError, match=f"{name}: eps must be non-negative, but got -1.0"):
            call()
