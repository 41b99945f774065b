"""Cases of activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from tests.nn.case import Case


def normal(*shape: int, scale: float = 1.0) -> Callable[[Any], tuple[Any, ...]]:
    """One array of normal numbers."""
    return lambda rng: (numpy.asarray(scale * rng.standard_normal(shape)),)


#: 0, large numbers, and numbers on both sides of every corner.
EDGES = numpy.array(
    [-1000.0, -7.0, -3.5, -3.0, -1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5, 3.0, 3.5, 6.0, 7.0, 25.0, 1000.0]
)


def edges(rng: Any) -> tuple[Any, ...]:
    return (EDGES.copy(),)


def _both(cls: str, *args: Any, **kwargs: Any) -> list[Case]:
    """Cases with ordinary numbers, with corners and large numbers, and in place."""
    cases = [
        Case(cls, args, kwargs, inputs=normal(2, 3, scale=2.0)),
        Case(cls, args, kwargs, inputs=edges, variant="edges"),
    ]
    return [*cases, Case(cls, args, {**kwargs, "inplace": True}, inputs=normal(5))]


CASES = [
    *_both("ReLU"),
    *_both("ReLU6"),
    *_both("LeakyReLU"),
    *_both("LeakyReLU", 0.2),
    Case("RReLU", inputs=edges, train=False),
    Case("RReLU", kwargs={"inplace": True}, inputs=normal(4), train=False),
    Case("RReLU", (0.1, 0.4), inputs=normal(2, 3), train=False),
    Case("RReLU", (0.2, 0.2), inputs=normal(2, 3), variant="of equal bounds"),
    *_both("ELU"),
    *_both("ELU", 0.5),
    *_both("CELU"),
    *_both("CELU", 0.5),
    *_both("SELU"),
    *_both("Threshold", 0.5, -2.0),
    *_both("Hardtanh"),
    *_both("Hardtanh", -0.5, 1.5),
    *_both("Hardsigmoid"),
    *_both("Hardswish"),
    *_both("Hardshrink")[:2],
    *_both("Hardshrink", 1.0)[:2],
    *_both("Softshrink")[:2],
    *_both("Softshrink", 0.0)[:2],
    Case("PReLU", inputs=normal(2, 3)),
    Case("PReLU", (3,), inputs=normal(2, 3, 2)),
    Case("PReLU", (2,), {"init": 0.1}, inputs=normal(3, 2)),
    Case("PReLU", inputs=normal(4), variant="unbatched"),
    Case("PReLU", inputs=normal(), variant="of one number"),
    *_both("Sigmoid")[:2],
    *_both("Tanh")[:2],
    *_both("LogSigmoid")[:2],
    *_both("SiLU"),
    *_both("Mish"),
    *_both("GELU")[:2],
    *_both("GELU", approximate="tanh")[:2],
    *_both("Softplus")[:2],
    *_both("Softplus", 2.0, 3.0)[:2],
    *_both("Softsign")[:2],
    *_both("Tanhshrink")[:2],
    Case("GLU", inputs=normal(2, 4)),
    Case("GLU", (1,), inputs=normal(2, 4, 3)),
    Case("GLU", (0,), inputs=normal(4), variant="unbatched"),
    Case("Softmax", kwargs={"dim": 1}, inputs=normal(2, 3)),
    Case("Softmax", (0,), inputs=normal(4)),
    Case("LogSoftmax", kwargs={"dim": -1}, inputs=normal(2, 3)),
    Case("Softmin", kwargs={"dim": 1}, inputs=normal(2, 3)),
    Case("Softmin", (0,), inputs=normal(2, 3)),
    Case("Softmax2d", inputs=normal(2, 3, 2, 2)),
    Case("Softmax2d", inputs=normal(3, 2, 2), variant="unbatched"),
]
