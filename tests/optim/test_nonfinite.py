"""Steps with nan and infinite gradients are the same as in PyTorch, element by element."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

NAN, INF = numpy.nan, numpy.inf
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9},
    "Adam": {},
    "AdamW": {"amsgrad": True},
    "NAdam": {},
    "RAdam": {},
    "Adamax": {},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Rprop": {},
    "ASGD": {},
    "Adafactor": {},
}
SEQUENCES = [
    [[1, -2, NAN, INF], [0.5, NAN, 1, 1], [-1, 1, 1, -INF], [1, 1, 1, 1], [-1, -1, -1, -1], [0, 0, 0, 0]],
    [[1, -2, 0.5, 3], [NAN, 1, 1, 1], [1, 2, -1, 1], [-1, 1, 1, 1]],
    [[INF, 1, 1, 1], [1, 1, 1, 1], [-1, 2, -1, 1]],
]


@pytest.mark.parametrize("shape", [(4,), (2, 2)], ids=str)
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_steps_with_nan_and_infinity_are_pytorchs(
    backend: Target, name: str, maximize: bool, shape: tuple[int, ...]
) -> None:
    torch = pytest.importorskip("torch")
    for sequence in SEQUENCES:
        options = {"lr": 0.1, "maximize": maximize, **OPTIONS[name]}
        start = numpy.asarray([1.0, 2.0, 3.0, 4.0]).reshape(shape)
        theirs, ours = torch.tensor(start, requires_grad=True), backend.variable(start, requires_grad=True)
        optimizers = getattr(torch.optim, name)([theirs], **options), getattr(rustorch.optim, name)([ours], **options)
        for gradient in sequence:
            host = numpy.asarray(gradient, "float64").reshape(shape)
            theirs.grad, ours.grad = torch.tensor(host), backend.variable(host)
            with numpy.errstate(all="ignore"):
                for optimizer in optimizers:
                    optimizer.step()
            numpy.testing.assert_allclose(backend.numpy(ours), theirs.detach().numpy(), rtol=1e-6, atol=1e-9)
