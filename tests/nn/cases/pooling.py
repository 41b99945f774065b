"""Cases of pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from tests.nn.case import Case

from .activation import normal


def positive(*shape: int) -> Callable[[Any], tuple[Any, ...]]:
    """One array of numbers in [0.5, 1.5)."""
    return lambda rng: (0.5 + rng.random(shape),)


def ties(*shape: int) -> Callable[[Any], tuple[Any, ...]]:
    """One array of small integers with ties: the first of equal values gets the gradient."""
    return lambda rng: (rng.integers(0, 3, shape).astype("float64"),)


def pooled(*shape: int, size: int, **options: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Numbers, and a different place for each in a plane of that size."""

    def draw(rng: Any) -> tuple[Any, ...]:
        count = int(numpy.prod(shape[2:]))
        planes = [rng.permutation(size)[:count] for _ in range(shape[0] * shape[1])]
        return rng.standard_normal(shape), numpy.stack(planes).reshape(shape).astype("int64"), options

    return draw


CASES = [
    # windows as large as the input, one window, and windows beyond the end
    Case("MaxPool1d", (3,), {"stride": 2, "padding": 1}, normal(2, 2, 7)),
    Case("MaxPool1d", (2,), {"dilation": 3, "return_indices": True}, normal(2, 9)),
    Case("MaxPool2d", (2,), inputs=normal(2, 2, 4, 6)),
    Case("MaxPool2d", (3, 2, 1), inputs=normal(2, 2, 7, 6), everywhere=True),
    Case(
        "MaxPool2d",
        ((2, 3),),
        {"stride": (2, 1), "padding": (1, 0), "dilation": (2, 1), "ceil_mode": True},
        normal(2, 6, 5),
    ),
    Case(
        "MaxPool2d", (3,), {"stride": 2, "ceil_mode": True, "return_indices": True}, normal(1, 2, 6, 6), everywhere=True
    ),
    Case("MaxPool2d", (2, 1), {"return_indices": True}, ties(2, 1, 4, 4), variant="ties"),
    Case("MaxPool2d", ((18, 20),), {"stride": 3}, normal(1, 21, 23), variant="more than 256 values"),
    Case("MaxPool3d", (2,), inputs=normal(1, 2, 4, 4, 4)),
    Case("MaxPool3d", ((1, 2, 3), 2, (0, 1, 1)), {"return_indices": True}, normal(2, 3, 4, 5)),
    Case("MaxUnpool1d", (2,), inputs=pooled(2, 2, 3, size=6)),
    Case("MaxUnpool1d", (2,), {"stride": 3}, pooled(1, 2, 3, size=10, output_size=(10,))),
    Case("MaxUnpool2d", (2,), inputs=pooled(2, 2, 2, 3, size=24)),
    Case("MaxUnpool2d", (3,), {"stride": 2, "padding": 1}, pooled(1, 1, 3, 3, size=36, output_size=(1, 1, 6, 6))),
    Case("MaxUnpool3d", (2,), inputs=pooled(1, 2, 2, 1, 2, size=32)),
    Case("AvgPool1d", (3,), {"stride": 2, "padding": 1}, normal(2, 2, 7)),
    Case("AvgPool1d", (2,), {"ceil_mode": True, "count_include_pad": False}, normal(2, 7)),
    Case("AvgPool2d", (2,), inputs=normal(2, 2, 4, 6)),
    Case("AvgPool2d", (3, 2, 1), {"count_include_pad": False}, normal(2, 2, 7, 6), everywhere=True),
    Case("AvgPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, normal(1, 2, 6, 5)),
    Case("AvgPool2d", ((2, 3), (3, 2)), {"divisor_override": 5}, normal(2, 7, 6), everywhere=True),
    Case("AvgPool2d", (9,), inputs=normal(1, 2, 20, 19), variant="long windows side by side"),
    Case("AvgPool3d", (2,), inputs=normal(1, 2, 4, 4, 4)),
    Case("AvgPool3d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}, normal(2, 4, 5, 4)),
    Case("LPPool1d", (3, 2), inputs=positive(2, 2, 6)),
    Case("LPPool1d", (2, 3), {"stride": 2, "ceil_mode": True}, normal(2, 6)),
    Case("LPPool2d", (2, 3), {"stride": 2}, normal(2, 2, 5, 7)),
    Case("LPPool2d", (1.5, (2, 1)), inputs=positive(1, 4, 3)),
    Case("LPPool3d", (2, 2), inputs=normal(1, 1, 4, 4, 4)),
    Case("AdaptiveAvgPool1d", (3,), inputs=normal(2, 2, 6)),
    Case("AdaptiveAvgPool1d", (4,), inputs=normal(2, 7), everywhere=True),
    Case("AdaptiveAvgPool2d", (1,), inputs=normal(2, 2, 3, 4)),
    Case("AdaptiveAvgPool2d", ((None, 3),), inputs=normal(2, 2, 4, 5)),
    Case("AdaptiveAvgPool2d", ((2, 5),), inputs=normal(1, 4, 3), variant="more bins than values"),
    Case("AdaptiveAvgPool3d", ((2, 3, None),), inputs=normal(1, 2, 4, 4, 2)),
    Case("AdaptiveMaxPool1d", (3,), inputs=normal(2, 2, 6)),
    Case("AdaptiveMaxPool1d", (4,), {"return_indices": True}, normal(2, 7), everywhere=True),
    Case("AdaptiveMaxPool2d", ((2, 3),), {"return_indices": True}, normal(2, 2, 4, 5)),
    Case("AdaptiveMaxPool2d", ((None, 2),), inputs=ties(1, 4, 3)),
    Case("AdaptiveMaxPool3d", (2,), inputs=normal(1, 2, 4, 3, 2)),
    # every call draws new numbers: test_fractional_pooling.py compares values
    Case("FractionalMaxPool2d", (3,), {"output_size": (2, 4)}),
    Case("FractionalMaxPool2d", (2,), {"output_ratio": 0.5, "_random_samples": numpy.full((1, 2, 2), 0.5)}),
    Case("FractionalMaxPool3d", (2,), {"output_size": 3}),
]
