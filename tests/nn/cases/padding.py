"""Cases of padding."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

_SHAPES = {1: (2, 2, 4), 2: (1, 2, 3, 4), 3: (1, 2, 3, 3, 4)}

CASES = [
    *[Case(f"ConstantPad{n}d", (1, 3.5), inputs=normal(*shape)) for n, shape in _SHAPES.items()],
    *[Case(f"{kind}Pad{n}d", (1,), inputs=normal(*shape))
      for kind in ("Zero", "Reflection", "Replication", "Circular") for n, shape in _SHAPES.items()],
    *[Case(f"{kind}Pad2d", ((2, -1, 0, 2),), inputs=normal(2, 3, 4), variant="unbatched")
      for kind in ("Zero", "Reflection", "Replication", "Circular")],
    Case("ReflectionPad1d", ((3, 0),), inputs=normal(2, 4)),
    Case("ReplicationPad1d", ((5, -2),), inputs=normal(2, 2, 3)),
    Case("CircularPad1d", ((4, 3),), inputs=normal(2, 2, 4)),
    Case("ZeroPad3d", ((-1, 1, 2, 0, -1, -1),), inputs=normal(1, 3, 2, 2)),
]  # fmt: skip
