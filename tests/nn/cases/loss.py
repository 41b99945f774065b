"""Losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from tests.nn.case import Case


def pair(*shape: int) -> Callable[[Any], tuple[Any, ...]]:
    """Two arrays of normal numbers of one shape."""
    return lambda rng: (rng.standard_normal(shape), rng.standard_normal(shape))


def classes(*shape: int, axis: int = 1) -> Callable[[Any], tuple[Any, ...]]:
    """Numbers of a shape, and class indices for it, with the classes along an axis."""
    rest = shape[:axis] + shape[axis + 1 :]
    return lambda rng: (rng.standard_normal(shape), numpy.asarray(rng.integers(0, shape[axis], rest)))


CASES = [
    Case("MSELoss", inputs=pair(2, 3)),
    Case("MSELoss", kwargs={"reduction": "none"}, inputs=pair(2, 3)),
    Case("CrossEntropyLoss", inputs=classes(4, 3)),
    Case("CrossEntropyLoss", kwargs={"weight": numpy.array([0.5, 1.0, 2.0]), "label_smoothing": 0.1}, inputs=classes(2, 3, 2)),
]
