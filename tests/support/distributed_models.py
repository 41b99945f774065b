"""Small models and batches for tests of training on several ranks, and the gradients that they must get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

import rustorch
from rustorch import nn
from tests.support.target import Target


def network(backend: Target, seed: int = 0) -> nn.Sequential:
    """A network of five layers in float64."""
    rustorch.manual_seed(seed)
    layers = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)]
    return nn.Sequential(*layers).to(device=backend.device, dtype=rustorch.float64)


def batch(backend: Target, rank: int, step: int = 0, shape: tuple[int, ...] = (4, 3)) -> rustorch.Variable:
    """The batch of a rank in a step: every rank can compute those of all ranks."""
    return backend.variable(numpy.random.default_rng([rank, step]).normal(size=shape))


def squares(out: rustorch.Variable) -> rustorch.Variable:
    """A loss."""
    return (out * out).mean()


def averaged(
    make: Callable[[], nn.Module], losses: Sequence[Callable[[Any], rustorch.Variable]]
) -> dict[str, numpy.ndarray | None]:
    """The mean of the gradients that a module gets from each of these losses, by the names of the parameters.

    None stands for parameters without a gradient from any of them.
    """
    sums: dict[str, Any] = {}
    for loss in losses:
        module = make()
        loss(module).backward()
        for name, p in module.named_parameters():
            part = None if p.grad is None else rustorch.Variable(p.grad).cpu().data / len(losses)
            before = sums.get(name)
            sums[name] = part if before is None else before if part is None else before + part
    return sums


def check_gradients(backend: Target, module: nn.Module, expected: dict[str, numpy.ndarray | None]) -> None:
    """Compare ``grad`` of all parameters with the expected gradients."""
    named = dict(module.named_parameters())
    assert list(named) == list(expected)
    for name, p in named.items():
        if expected[name] is None:
            assert p.grad is None, name
        else:
            assert p.grad is not None, name
            numpy.testing.assert_allclose(
                backend.numpy(p.grad), backend.numpy(expected[name]), rtol=1e-12, atol=1e-14, err_msg=name
            )
