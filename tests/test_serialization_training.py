"""A training resumed from a file equals an uninterrupted one, bit for bit, with every optimizer and schedule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from rustorch.data import ArrayDataset, DataLoader
from rustorch.optim import lr_scheduler

OPTIMIZERS = [name for name in optim.__all__ if name not in ("Optimizer", "ZeroRedundancyOptimizer")]
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 7]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, total_iters=7),
    "LinearLR": lr_scheduler.LinearLR,
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 9, 2.0),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 6),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [6]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, threshold=0.5),
}


def losses(file: Path, resume: bool, optimizer: str, schedule: str) -> list[float]:
    """The losses of a training after step 5. Without ``resume``, the first 5 steps run before, and are saved."""
    generator = numpy.random.default_rng(0)
    data = ArrayDataset(
        generator.normal(size=(24, 5)).astype("float32"), generator.normal(size=(24, 3)).astype("float32")
    )
    loader = DataLoader(data, batch_size=4, shuffle=True, seed=3)
    rustorch.manual_seed(4)
    model = nn.Sequential(nn.Linear(5, 3, bias=False), nn.Dropout(0.2))
    state: dict[str, Any] = {
        "model": model,
        "loader": loader,
        "optimizer": getattr(optim, optimizer)(model.parameters(), lr=0.01),
    }
    state["schedule"] = SCHEDULES[schedule](state["optimizer"])
    values: list[float] = []
    if resume:
        saved = rustorch.load(file)
        for name, part in state.items():
            part.load_state_dict(saved[name])
        rustorch.set_rng_state(saved["random"])
    for _ in range(2):
        for x, y in loader:

            def closure(x: Any = x, y: Any = y) -> Any:
                model.zero_grad()
                loss = ((model(x) - y) ** 2).mean()
                loss.backward()
                return loss

            loss = state["optimizer"].step(closure).item()
            state["schedule"].step(*([loss] if schedule == "ReduceLROnPlateau" else []))
            values.append(loss)
            if not resume and len(values) == 5:
                rustorch.save({**state, "random": rustorch.get_rng_state()}, file)
    return values if resume else values[5:]


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [*[(name, "StepLR") for name in OPTIMIZERS], *[("Adam", name) for name in SCHEDULES]]
)
def test_a_resumed_training_equals_an_uninterrupted_one(optimizer: str, schedule: str, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    expected = losses(file, False, optimizer, schedule)
    assert len(expected) == 7 and losses(file, True, optimizer, schedule) == expected


def test_every_schedule_is_tested() -> None:
    assert {*SCHEDULES} == {*lr_scheduler.__all__} - {"LRScheduler"}
