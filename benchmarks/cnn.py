"""One training step of a small convolutional network on images of 28 x 28 pixels."""

from __future__ import annotations

from typing import Any

import numpy

from .steps import Step


def model(nn: Any) -> Any:
    """The network, from the layers of rustorch or PyTorch."""
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
    """The step, with SGD with momentum."""
    generator = numpy.random.default_rng(0)
    images = generator.standard_normal((batch, 1, 28, 28)).astype("float32")
    return Step(model, (images,), generator.integers(0, 10, batch), "SGD", {"momentum": 0.9})
