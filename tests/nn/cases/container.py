"""Cases of containers."""

from __future__ import annotations

from tests.nn.case import Case

from .activation import normal

CASES = [
    Case(
        "Sequential", build=lambda nn: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), inputs=normal(2, 3)
    ),
    Case("ModuleList", build=lambda nn: nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 3), nn.Tanh()])),
    Case("ModuleDict", build=lambda nn: nn.ModuleDict({"b": nn.Linear(2, 3), "a": nn.Tanh()})),
    Case("ModuleDict", build=lambda nn: nn.ModuleDict(), variant="empty"),
    Case("ParameterList", build=lambda nn: nn.ParameterList()),
    Case("ParameterDict", build=lambda nn: nn.ParameterDict()),
]
