"""One training step of a small convolutional network on images of 28 x 28: convolutions, batch norm, pooling,
cross-entropy, SGD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from .steps import Step


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


def step(batch: int = 64) -> Step:
    """SGD with momentum."""
    generator = numpy.random.default_rng(0)
    images = generator.standard_normal((batch, 1, 28, 28)).astype("float32")
    return Step(model, (images,), generator.integers(0, 10, batch), "SGD", {"momentum": 0.9})


def ours(batch: int, device: str = "cpu") -> Callable[[], object]:
    """rustorch's step."""
    return step(batch).ours(device)
