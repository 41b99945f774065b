"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.nn.case import Case


def normal(*shape: int, scale: float = 1.0) -> Callable[[Any], tuple[Any, ...]]:
    """One array of normal numbers."""
    return lambda rng: (scale * rng.standard_normal(shape),)


CASES = [
    Case("ReLU", inputs=normal(2, 3)),
    Case("ReLU", kwargs={"inplace": True}, inputs=normal(4)),
    Case("Sigmoid", inputs=normal(2, 3, scale=3.0)),
    Case("Tanh", inputs=normal(2, 3)),
    Case("Softmax", kwargs={"dim": 1}, inputs=normal(2, 3)),
    Case("Softmax", (0,), inputs=normal(4)),
    Case("LogSoftmax", kwargs={"dim": -1}, inputs=normal(2, 3)),
]
