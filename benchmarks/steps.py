"""A training step of one model in rustorch and in PyTorch: forward, cross-entropy, backward, optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy


def torch_on(device: str) -> Any:
    """PyTorch if it is installed and can use the device, else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if device == "cpu" or torch.cuda.is_available() else None


@dataclass(frozen=True)
class Step:
    """A training step. Both libraries start from the same initial values, on any device.

    Attributes
    ----------
    model : callable
        ``model(nn)`` makes the module from the layers of a library's ``nn``.
    inputs, labels : numpy arrays
        The batch.
    optimizer : str
        The name of its class in both libraries.
    options : mapping
        The optimizer's options besides ``lr``.
    """

    model: Callable[[Any], Any]
    inputs: Sequence[numpy.ndarray]
    labels: numpy.ndarray
    optimizer: str = "SGD"
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _start(self) -> dict[str, numpy.ndarray]:
        import rustorch

        return {name: value.data.copy() for name, value in self.model(rustorch.nn).state_dict().items()}

    def rustorch_step(
        self, device: str = "cpu", wrap: Callable[[Any], Any] = lambda network: network
    ) -> Callable[[], object]:
        """The step in rustorch. ``wrap`` may put the network into another module."""
        import rustorch

        network = self.model(rustorch.nn)
        network.load_state_dict(self._start)
        inputs = [rustorch.Variable(x, device=device) for x in self.inputs]
        labels = rustorch.Variable(self.labels, device=device)
        return self._step(rustorch, wrap(network.to(device)), inputs, labels)

    def torch_step(
        self, device: str = "cpu", wrap: Callable[[Any], Any] = lambda network: network
    ) -> Callable[[], object]:
        """The step in PyTorch. ``wrap`` may put the network into another module."""
        import torch

        network = self.model(torch.nn)
        network.load_state_dict({name: torch.tensor(value) for name, value in self._start.items()})
        inputs = [torch.tensor(x, device=device) for x in self.inputs]
        return self._step(torch, wrap(network.to(device)), inputs, torch.tensor(self.labels, device=device))

    def alone(self, library: Any) -> Callable[[], object]:
        """The step in one library, ``rustorch`` or ``torch``. It starts from values of its own: the other library need
        not be imported.
        """
        tensors = [library.tensor(x) for x in (*self.inputs, self.labels)]
        return self._step(library, self.model(library.nn), tensors[:-1], tensors[-1])

    def functions(self, device: str = "cpu") -> dict[str, Callable[[], object]]:
        """The step in each library that is installed and can use the device."""
        out = {"rustorch": self.rustorch_step(device)}
        if torch_on(device):
            out["torch"] = self.torch_step(device)
        return out

    def _step(self, library: Any, network: Any, inputs: Sequence[Any], labels: Any) -> Callable[[], object]:
        rate = 0.01 if self.optimizer == "SGD" else 1e-4
        optimizer = getattr(library.optim, self.optimizer)(network.parameters(), lr=rate, **self.options)
        criterion = library.nn.CrossEntropyLoss()

        def step() -> Any:
            optimizer.zero_grad()
            loss = criterion(network(*inputs), labels)
            loss.backward()
            optimizer.step()
            return loss

        return step
