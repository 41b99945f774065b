"""Parameter and Buffer: leaves that a Module registers."""

from __future__ import annotations

import copy

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.target import Target


def test_a_parameter_is_a_leaf_that_requires_grad_and_shares_memory(backend: Target) -> None:
    native = backend.array([1.0, 2.0])
    p = nn.Parameter(native)
    assert isinstance(p, rustorch.Variable)
    assert (p.requires_grad, p.is_leaf, p.device) == (True, True, backend.device)
    assert p.data is native
    assert nn.Parameter(backend.variable([1.0])).device == backend.device


def test_a_parameter_of_a_computed_variable_is_a_leaf(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    p = nn.Parameter(x * 2)
    assert p.is_leaf
    (p * 3).sum().backward()
    assert x.grad is None
    numpy.testing.assert_array_equal(backend.numpy(p.grad), [3.0, 3.0])


def test_results_of_operations_on_a_parameter_are_variables(backend: Target) -> None:
    p = nn.Parameter(backend.array([1.0, 2.0]))
    assert type(p * 2) is rustorch.Variable
    assert type(p.detach()) is rustorch.Variable
    assert type(p[0]) is rustorch.Variable


def test_a_parameter_takes_device_and_dtype(backend: Target) -> None:
    p = nn.Parameter([1.0, 2.0], device=backend.device, dtype=rustorch.float64)
    assert (p.device, p.dtype) == (backend.device, rustorch.float64)
    assert not nn.Parameter([1], requires_grad=False).requires_grad


def test_the_repr_begins_with_parameter() -> None:
    assert repr(nn.Parameter([1.0, 2.0])).startswith("Parameter([1., 2.]")


def test_a_parameter_of_integers_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"can require gradients, this one is int64.*astype"):
        nn.Parameter([1, 2])


# -- buffers -----------------------------------------------------------------------------------------------------------
def test_an_assigned_buffer_is_registered(backend: Target) -> None:
    module = nn.Module()
    module.running = nn.Buffer(backend.variable([1.0]))
    module.scratch = nn.Buffer([2.0], persistent=False)
    assert [name for name, _ in module.named_buffers()] == ["running", "scratch"]
    assert list(module.state_dict()) == ["running"] and list(module.parameters()) == []
    assert module.running.device == backend.device and not module.running.requires_grad
    module.running = nn.Buffer([3.0], persistent=False)
    module.scratch = rustorch.tensor([4.0])
    assert list(module.state_dict()) == []
    assert [value.tolist() for _, value in module.named_buffers()] == [[3.0], [4.0]]


def test_a_buffer_replaces_an_attribute_but_not_a_parameter() -> None:
    layer = nn.Linear(2, 3)
    layer.scale = 2.0
    layer.scale = nn.Buffer([2.0])
    assert sorted(layer.state_dict()) == ["bias", "scale", "weight"]
    assert type(layer.scale * 2) is rustorch.Variable
    assert copy.deepcopy(layer).scale.tolist() == [2.0]
    with pytest.raises(TypeError, match="'weight' holds a Parameter; assign one or None, not Buffer"):
        layer.weight = nn.Buffer(layer.weight.detach())
    assert isinstance(layer.weight, nn.Parameter)
