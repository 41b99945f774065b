"""Affine maps, and layers that change the shape alone."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    Case("Linear", (3, 4), inputs=normal(2, 3)),
    Case("Linear", (3, 4), {"bias": False}, inputs=normal(2, 2, 3)),
    Case("Linear", (3, 4), inputs=normal(3), variant="unbatched"),
    Case("Flatten", inputs=normal(2, 3, 2)),
    Case("Flatten", (0, 1), inputs=normal(2, 3, 2)),
]
