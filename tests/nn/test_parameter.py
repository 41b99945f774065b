"""Parameter: a leaf that requires grad, and a Variable in everything else."""

from __future__ import annotations

import copy

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.target import Target


def test_it_is_a_leaf_that_requires_grad_and_shares_memory(backend: Target) -> None:
    native = backend.array([1.0, 2.0])
    p = nn.Parameter(native)
    assert isinstance(p, rustorch.Variable)
    assert (p.requires_grad, p.is_leaf, p.device) == (True, True, backend.device)
    assert p.data is native
    assert nn.Parameter(backend.variable([1.0])).device == backend.device


def test_one_of_a_computed_variable_is_a_leaf_again(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    p = nn.Parameter(x * 2)
    assert p.is_leaf
    (p * 3).sum().backward()
    assert x.grad is None
    numpy.testing.assert_array_equal(backend.numpy(p.grad), [3.0, 3.0])


def test_what_is_computed_from_it_is_no_parameter(backend: Target) -> None:
    p = nn.Parameter(backend.array([1.0, 2.0]))
    assert type(p * 2) is rustorch.Variable
    assert type(p.detach()) is rustorch.Variable
    assert type(p[0]) is rustorch.Variable


def test_place_and_dtype_are_options(backend: Target) -> None:
    p = nn.Parameter([1.0, 2.0], device=backend.device, dtype=rustorch.float64)
    assert (p.device, p.dtype) == (backend.device, rustorch.float64)
    assert not nn.Parameter([1], requires_grad=False).requires_grad


def test_its_text_says_what_it_is() -> None:
    assert repr(nn.Parameter([1.0, 2.0])).startswith("Parameter([1., 2.]")


def test_integers_cannot_be_trained() -> None:
    with pytest.raises(RuntimeError, match=r"can require gradients, this one is int64.*astype"):
        nn.Parameter([1, 2])


# -- buffers -----------------------------------------------------------------------------------------------------------
def test_a_buffer_becomes_one_of_its_module(backend: Target) -> None:
    module = nn.Module()
    module.kept = nn.Buffer(backend.variable([1.0]))
    module.passing = nn.Buffer([2.0], persistent=False)
    assert [name for name, _ in module.named_buffers()] == ["kept", "passing"]
    assert list(module.state_dict()) == ["kept"] and list(module.parameters()) == []
    assert module.kept.device == backend.device and not module.kept.requires_grad
    module.kept = nn.Buffer([3.0], persistent=False)
    module.passing = rustorch.tensor([4.0])
    assert list(module.state_dict()) == []
    assert [value.tolist() for _, value in module.named_buffers()] == [[3.0], [4.0]]


def test_a_buffer_takes_the_place_of_what_was_there_but_of_no_parameter() -> None:
    layer = nn.Linear(2, 3)
    layer.scale = 2.0
    layer.scale = nn.Buffer([2.0])
    assert sorted(layer.state_dict()) == ["bias", "scale", "weight"]
    assert type(layer.scale * 2) is rustorch.Variable
    assert copy.deepcopy(layer).scale.tolist() == [2.0]
    with pytest.raises(TypeError, match="'weight' holds a Parameter; assign one or None, not Buffer"):
        layer.weight = nn.Buffer(layer.weight.detach())
    assert isinstance(layer.weight, nn.Parameter)
