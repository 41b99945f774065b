"""Helpers for the tests of learning rate schedules."""

from __future__ import annotations

import warnings
from typing import Any

import rustorch
from rustorch import nn
from tests.reference.lr_scheduler_cases import CASES, Case, Ours, make, row

OURS = Ours()
#: The first case of each class.
FIRST_CASES = {case.cls: case for case in reversed(CASES)}


def sgd(*lrs: float, momentum: float = 0.5) -> rustorch.SGD:
    """An SGD optimizer with a parameter group for each learning rate."""
    return rustorch.SGD([{"params": [nn.Parameter([1.0])], "lr": lr} for lr in lrs or (0.1,)], momentum=momentum)


def make_case(case: Case) -> tuple[Any, Any]:
    """The optimizer and the schedule of a case."""
    optimizer = OURS.optimizer(case.optimizer, case.lrs)
    return optimizer, make(case, OURS, optimizer)


def run_steps(case: Case, optimizer: Any, schedule: Any, first: int, last: int) -> list[list[float]]:
    """Run steps of a case. Return the learning rates and momenta after each step."""
    rows = []
    for t in range(first, last):
        optimizer.step()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The epoch parameter")
            case.drive(schedule, t)
        rows.append(row(optimizer, True))
    return rows
