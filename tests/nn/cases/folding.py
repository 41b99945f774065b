"""Cases of Fold and Unfold."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    Case("Unfold", (2,), inputs=normal(2, 2, 3, 3)),
    Case(
        "Unfold",
        ((2, 3),),
        {"dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)},
        inputs=normal(2, 4, 5),
        variant="unbatched",
    ),
    Case("Fold", (3, 2), inputs=normal(2, 8, 4)),
    Case(
        "Fold",
        ((3, 5), (2, 3)),
        {"dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)},
        inputs=normal(12, 6),
        variant="unbatched",
    ),
    Case("Fold", ((4, 4),), {"kernel_size": 2, "stride": 2}, inputs=normal(1, 4, 4)),
]
