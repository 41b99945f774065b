"""One training step of an LSTM: 64 features, 128 hidden units, 32 steps, batch 32. The last output is classified."""

from __future__ import annotations

from typing import Any

import numpy

from .steps import Step

FEATURES, HIDDEN, STEPS, BATCH, CLASSES = 64, 128, 32, 32, 10


def model(nn: Any) -> Any:
    """The network, from the layers of rustorch or PyTorch."""

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(FEATURES, HIDDEN)
            self.head = nn.Linear(HIDDEN, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(x)[0][-1])

    return Classifier()


def step() -> Step:
    """The step, with SGD."""
    generator = numpy.random.default_rng(0)
    x = generator.standard_normal((STEPS, BATCH, FEATURES)).astype("float32")
    return Step(model, (x,), generator.integers(0, CLASSES, BATCH))
