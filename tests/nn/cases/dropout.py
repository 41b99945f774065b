"""Cases of dropout without randomness: in evaluation, and with probabilities of 0 and 1."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    case
    for cls, shape in (
        ("Dropout", (2, 3)),
        ("Dropout1d", (2, 3, 2)),
        ("Dropout2d", (2, 3, 2, 2)),
        ("Dropout3d", (2, 3, 2, 1, 2)),
        ("AlphaDropout", (2, 3)),
        ("FeatureAlphaDropout", (2, 3, 2)),
    )
    for case in (
        Case(cls, kwargs={"p": 1.0}, inputs=normal(*shape)),
        Case(cls, kwargs={"p": 0.0, "inplace": True}, inputs=normal(*shape)),
        Case(cls, (0.25,), inputs=normal(*shape), train=False),
    )
]
