"""One training step of a model that is written once for both libraries: forward, cross-entropy, backward, an optimizer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy

import rustorch

#: ``model(nn)`` makes the module from a library's layers.
Model = Callable[[Any], Any]


def _step(library: Any, network: Any, inputs: Sequence[Any], labels: Any, optimizer: str) -> Callable[[], object]:
    descent = getattr(library.optim, optimizer)(network.parameters(), lr=0.01 if optimizer == "SGD" else 1e-4)
    criterion = library.nn.CrossEntropyLoss()

    def step() -> None:
        descent.zero_grad()
        criterion(network(*inputs), labels).backward()
        descent.step()

    return step


def functions(
    model: Model, inputs: Sequence[numpy.ndarray], labels: numpy.ndarray, optimizer: str = "SGD"
) -> dict[str, Callable[[], object]]:
    """The step of everybody who is installed, from the same initial values."""
    network = model(rustorch.nn)
    start = {name: value.data.copy() for name, value in network.state_dict().items()}
    out = {"rustorch": _step(rustorch, network, [rustorch.Variable(x) for x in inputs], rustorch.Variable(labels), optimizer)}
    with contextlib.suppress(ImportError):
        import torch

        network = model(torch.nn)
        network.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
        out["torch"] = _step(torch, network, [torch.tensor(x) for x in inputs], torch.tensor(labels), optimizer)
    return out
