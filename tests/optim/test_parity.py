"""Every optimizer with every option: PyTorch's numbers over 50 steps, in float64, on every backend."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from rustorch import optim
from tests.reference import load, optim_cases
from tests.support.target import Target


def test_every_optimizer_is_in_the_table() -> None:
    public = {
        name
        for name in optim.__all__
        if isinstance(cls := getattr(optim, name), type) and issubclass(cls, optim.Optimizer)
    }
    assert public - {"Optimizer", "ZeroRedundancyOptimizer"} == set(optim_cases.OPTIONS)


@pytest.mark.parametrize("name", optim_cases.table())
def test_fifty_steps_are_those_of_pytorch(name: str, backend: Target) -> None:
    cls, options = optim_cases.table()[name]
    actual = optim_cases.train(
        rustorch,
        lambda array, tracked: backend.variable(array, requires_grad=tracked),
        lambda p: backend.numpy(p).tolist(),
        lambda parameters: getattr(rustorch, cls)(parameters, **options),
    )
    for step, values in load("optim")[name].items():
        for key, expected in values.items():
            numpy.testing.assert_allclose(
                actual[step][key], expected, rtol=1e-9, atol=1e-10, err_msg=f"{key} after {step} steps"
            )
