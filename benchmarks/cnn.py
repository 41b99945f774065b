"""One training step of a small convolutional network on images of 28 x 28: convolutions, batch norm, pooling, cross-entropy, SGD."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy

import rustorch


def model(nn: Any) -> Any:
    """The network, of PyTorch's layers or of ours."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def _data(batch: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    return generator.standard_normal((batch, 1, 28, 28)).astype("float32"), generator.integers(0, 10, batch)


def _step(library: Any, network: Any, optimizer: Any, images: Any, labels: Any) -> Callable[[], object]:
    criterion = library.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        criterion(network(images), labels).backward()
        optimizer.step()

    return step


def ours(batch: int, device: str = "cpu") -> Callable[[], object]:
    """rustorch's step."""
    images, labels = _data(batch)
    network = model(rustorch.nn).to(device)
    optimizer = rustorch.SGD(network.parameters(), lr=0.01, momentum=0.9)
    return _step(rustorch, network, optimizer, rustorch.Variable(images, device=device), rustorch.Variable(labels, device=device))


def torchs(batch: int, device: str = "cpu") -> Callable[[], object]:
    """PyTorch's step."""
    import torch

    images, labels = _data(batch)
    network = model(torch.nn).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    return _step(torch, network, optimizer, torch.tensor(images, device=device), torch.tensor(labels, device=device))


def functions(batch: int = 64) -> dict[str, Callable[[], object]]:
    """The step of everybody who is installed."""
    out = {"rustorch": ours(batch)}
    with contextlib.suppress(ImportError):
        out["torch"] = torchs(batch)
    return out
