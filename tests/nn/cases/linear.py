"""Cases of linear layers, and of layers that only change the shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.nn.case import Case

from .activation import normal


def _pair(one: tuple[int, ...], two: tuple[int, ...]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda rng: (rng.standard_normal(one), rng.standard_normal(two))


CASES = [
    Case("Linear", (3, 4), inputs=normal(2, 3)),
    Case("Linear", (3, 4), {"bias": False}, inputs=normal(2, 2, 3)),
    Case("Linear", (3, 4), inputs=normal(3), variant="unbatched"),
    Case("Flatten", inputs=normal(2, 3, 2)),
    Case("Flatten", (0, 1), inputs=normal(2, 3, 2)),
    Case("Unflatten", (1, (2, 3)), inputs=normal(2, 6)),
    Case("Unflatten", (-1, [2, -1, 1]), inputs=normal(2, 6)),
    Case("Identity", inputs=normal(2, 3)),
    Case("Identity", (54,), {"unused": 0.1}, inputs=normal(2, 3)),
    Case("Bilinear", (3, 2, 4), inputs=_pair((5, 3), (5, 2))),
    Case("Bilinear", (3, 2, 4), {"bias": False}, inputs=_pair((2, 5, 3), (2, 5, 2))),
    Case("Bilinear", (3, 2, 4), inputs=_pair((3,), (2,)), variant="unbatched"),
]
