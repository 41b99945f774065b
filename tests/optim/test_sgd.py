"""SGD: PyTorch's numbers for every combination of options, and options out of range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.reference import cases, load
from tests.support.target import Target

#: 60 steps in float64 that converge to a minimum, or to a maximum, so that rounding errors do not grow.
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def _train(target: Target, build: Callable[[list[Any]], Any]) -> dict[str, Any]:
    factor = target.variable(cases.numbers((4, 3)))
    parameters = [target.variable(array, requires_grad=True) for array in cases.sgd_start()]
    optimizer = build(parameters)
    parameters_after = {}
    for step in range(1, cases.SGD_STEPS + 1):
        optimizer.zero_grad()
        cases.sgd_loss(rustorch, factor, *parameters).backward()
        optimizer.step()
        if step in cases.SGD_COMPARED_STEPS:
            parameters_after[str(step)] = {
                "weight": target.numpy(parameters[0]).copy(),
                "bias": target.numpy(parameters[1]).copy(),
            }
    return parameters_after


def _compare(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(actual) == list(expected)
    for step in expected:
        for name in expected[step]:
            numpy.testing.assert_allclose(
                actual[step][name], expected[step][name], **EXACT, err_msg=f"{name} after {step} steps"
            )


@pytest.mark.parametrize("name", cases.sgd())
def test_every_combination_of_options_is_that_of_pytorch(name: str, backend: Target) -> None:
    options = cases.sgd()[name]
    actual = _train(backend, lambda parameters: rustorch.SGD(parameters, lr=cases.SGD_LR, **options))
    _compare(actual, load("sgd")[name])


def test_each_group_has_its_own_options(backend: Target) -> None:
    first, second = cases.SGD_GROUPS

    def build(parameters: list[Any]) -> rustorch.SGD:
        groups = [{"params": [parameters[0]], **first}, {"params": parameters[1], **second}]
        return rustorch.SGD(groups, lr=cases.SGD_LR)

    _compare(_train(backend, build), load("sgd")["groups"])


def test_a_group_added_later_is_trained_too(backend: Target) -> None:
    first, second = cases.SGD_GROUPS

    def build(parameters: list[Any]) -> rustorch.SGD:
        optimizer = rustorch.SGD([{"params": [parameters[0]], **first}], lr=cases.SGD_LR)
        optimizer.add_param_group({"params": [parameters[1]], **second})
        return optimizer

    _compare(_train(backend, build), load("sgd")["groups"])


@pytest.mark.parametrize("name", cases.sgd())
def test_a_step_keeps_dtype_and_device(name: str, backend: Target) -> None:
    p = nn.Parameter(backend.array([1.0, -2.0], "float32"))
    optimizer = rustorch.SGD([p], lr=numpy.float64(0.1), **cases.sgd()[name])
    for _ in range(3):
        p.grad = backend.array([0.5, 1.0], "float32")
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= numpy.float64(0.5)  # a schedule computed with NumPy
    assert (p.dtype, p.device, p.is_leaf, p.requires_grad) == (rustorch.float32, backend.device, True, True)
    assert rustorch.Variable(p.grad).tolist() == [0.5, 1.0], "a step does not write into the gradient"


def test_the_array_of_a_parameter_is_updated_in_place() -> None:
    array = numpy.array([1.0, 2.0])
    p = nn.Parameter(array)
    p.grad = numpy.array([1.0, 1.0])
    rustorch.SGD([p], lr=0.5, momentum=0.9).step()
    assert p.data is array
    assert array.tolist() == [0.5, 1.5]


def test_a_parameter_in_read_only_memory_gets_a_new_array() -> None:
    array = numpy.array([1.0, 2.0])
    array.flags.writeable = False
    p = nn.Parameter(array)
    p.grad = numpy.array([1.0, 1.0])
    optimizer = rustorch.SGD([p], lr=0.5)
    optimizer.step()
    assert p.tolist() == [0.5, 1.5]
    assert array.tolist() == [1.0, 2.0]


def test_numpy_scalars_are_accepted_as_options() -> None:
    p = nn.Parameter([1.0])
    for number in (numpy.float32(0.5), numpy.float64(0.5), 1):
        optimizer = rustorch.SGD([p], lr=number, momentum=numpy.float32(0.5))
        assert optimizer.lr == number
        assert type(optimizer.param_groups[0]["momentum"]) is float


# -- bad options -------------------------------------------------------------------------------------------------------
NUMBERS = [-0.1, math.nan, math.inf, "0.1", None, True, 1j]
BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    *[
        (
            {"lr": 0.1} | {name: value},
            f"SGD: {name} is a finite number that is not negative, not {value!r}".replace(".", "\\."),
        )
        for name in ("lr", "momentum", "dampening", "weight_decay")
        for value in NUMBERS
    ],
    ({"lr": 0.1, "nesterov": True}, "SGD: nesterov needs momentum above 0 and no dampening, not momentum=0.0"),
    ({"lr": 0.1, "nesterov": True, "momentum": 0.9, "dampening": 0.1}, "not momentum=0.9 and dampening=0.1"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options_raise(options: dict[str, Any], message: str) -> None:
    p = nn.Parameter([1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        rustorch.SGD([p], **options)
    optimizer = rustorch.SGD([p], lr=0.1)
    before = repr(optimizer)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [nn.Parameter([3.0])], **options})
    assert repr(optimizer) == before
    assert len(optimizer.param_groups) == 1
    state = optimizer.state_dict()
    state["param_groups"][0].update(options)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert repr(optimizer) == before
    assert p.tolist() == [1.0, 2.0]
