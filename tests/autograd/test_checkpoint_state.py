"""The running statistics of layers ignore the second call of a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.target import Target

LAYERS = {
    "batch norm": lambda device: nn.BatchNorm1d(3, device=device),
    "batch norm, mean of all": lambda device: nn.BatchNorm1d(3, momentum=None, device=device),
    "instance norm": lambda device: nn.InstanceNorm1d(3, track_running_stats=True, affine=True, device=device),
    "spectral norm": lambda device: nn.utils.spectral_norm(nn.Linear(4, 4, device=device)),
    "dropout": lambda device: nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3, device=device)),
}


def _trained(backend: Target, name: str, through: Any) -> list[numpy.ndarray]:
    """The state dict and all gradients after two steps."""
    rustorch.manual_seed(0)
    layer = LAYERS[name](backend.device)
    x = backend.variable(numpy.arange(24.0).reshape(2, 3, 4) ** 1.5, "float32", requires_grad=True)
    for _ in range(2):
        rustorch.sum(through(layer, x) ** 3).backward()
    found = [x.grad, *[p.grad for p in layer.parameters()], *layer.state_dict().values()]
    return [backend.numpy(value) for value in found]


@pytest.mark.parametrize("name", LAYERS)
def test_running_statistics_and_gradients_equal_those_without_a_checkpoint(backend: Target, name: str) -> None:
    plain = _trained(backend, name, lambda layer, x: layer(x))
    for through in (
        rustorch.checkpoint,
        lambda layer, x: rustorch.checkpoint(lambda y: rustorch.checkpoint(layer, y), x),
    ):
        for got, want in zip(_trained(backend, name, through), plain, strict=True):
            numpy.testing.assert_allclose(got, want, rtol=1e-5)


def test_running_statistics_advance_in_the_call_after_an_error() -> None:
    layer, calls = nn.BatchNorm1d(3), []

    def breaks(x: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 2:
            raise KeyError("on purpose")
        return layer(x)

    x = rustorch.tensor(numpy.arange(12.0).reshape(4, 3), requires_grad=True, dtype="float32")
    out = rustorch.checkpoint(breaks, x)
    with pytest.raises(KeyError):
        out.sum().backward()
    layer(x)
    assert int(layer.num_batches_tracked) == 2
