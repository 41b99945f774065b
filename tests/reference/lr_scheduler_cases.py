"""Cases of every schedule with its options, for rustorch and for PyTorch.

A case is data: the class, its arguments, the optimizer, and what is called in each of 200 steps. `run` makes these
steps with one of the libraries. It returns the learning rates, and the momenta if the schedule changes them, at the
start and after each step.

After a change of a case, run ``python -m tests.reference.make lr_scheduler``, which writes PyTorch's numbers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rustorch

STEPS = 200
#: Every so many rows, one is committed.
EVERY = 7


@dataclass(frozen=True)
class Case:
    """A schedule and 200 steps of it.

    Attributes
    ----------
    cls : str
        The class's name in ``lr_scheduler`` or ``swa_utils``.
    kwargs : dict
        The arguments of the class.
    variant : str
        An additional part of the case's name.
    lrs : tuple of float
        The learning rates of the optimizer's groups.
    optimizer : {"SGD", "Adam"}
        SGD has momentum, Adam has betas.
    build : callable, optional
        ``build(library, optimizer)`` makes the schedule, instead of the class.
    drive : callable
        ``drive(schedule, t)`` makes step t, from 1.
    resumed : int
        After so many steps a new schedule, made with ``last_epoch``, replaces the first one.
    before : callable, optional
        ``before(library, optimizer)`` is called before the schedule is made.
    """

    cls: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    variant: str = ""
    lrs: tuple[float, ...] = (0.1,)
    optimizer: str = "SGD"
    build: Callable[[Any, Any], Any] | None = None
    drive: Callable[[Any, int], None] = lambda schedule, t: schedule.step()
    resumed: int = 0
    before: Callable[[Any, Any], Any] | None = None

    @property
    def name(self) -> str:
        """The class, its arguments, and other differences from the defaults."""
        arguments = ", ".join(f"{key}={_short(value)}" for key, value in self.kwargs.items())
        more = [self.optimizer] * (self.optimizer != "SGD") + [f"{len(self.lrs)} groups"] * (len(self.lrs) > 1)
        more += [f"resumed after {self.resumed}"] * bool(self.resumed) + [self.variant] * bool(self.variant)
        return " ".join([f"{self.cls}({arguments})", *more])


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short, value))}]"
    return getattr(value, "__name__", None) or repr(value)


# -- the two libraries -------------------------------------------------------------------------------------------------
class Ours:
    """rustorch."""

    modules: tuple[Any, ...] = (rustorch.optim.lr_scheduler, rustorch.optim.swa_utils)

    def __getattr__(self, name: str) -> Any:
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)

    def optimizer(self, kind: str, lrs: tuple[float, ...]) -> Any:
        groups = [{"params": [rustorch.nn.Parameter([1.0])], "lr": lr} for lr in lrs]
        return rustorch.Adam(groups) if kind == "Adam" else rustorch.SGD(groups, momentum=0.5)


class Theirs(Ours):
    """PyTorch."""

    def __init__(self) -> None:
        import torch

        self.modules = (torch.optim.lr_scheduler, torch.optim.swa_utils)
        self._torch = torch

    def optimizer(self, kind: str, lrs: tuple[float, ...]) -> Any:
        groups = [{"params": [self._torch.nn.Parameter(self._torch.ones(1))], "lr": lr} for lr in lrs]
        return self._torch.optim.Adam(groups) if kind == "Adam" else self._torch.optim.SGD(groups, momentum=0.5)


def make(case: Case, library: Any, optimizer: Any, **more: Any) -> Any:
    """The schedule of a case."""
    if case.build is not None:
        return case.build(library, optimizer)
    return getattr(library, case.cls)(optimizer, **case.kwargs, **more)


def row(optimizer: Any, momentum: bool) -> list[float]:
    """The learning rates of all groups and, with ``momentum``, their momenta."""
    values = [float(group["lr"]) for group in optimizer.param_groups]
    if momentum:
        values += [group["betas"][0] if "betas" in group else group["momentum"] for group in optimizer.param_groups]
    return values


def run(case: Case, library: Any) -> list[list[float]]:
    """The rows at the start and after each step."""
    optimizer = library.optimizer(case.optimizer, case.lrs)
    momentum = case.cls in ("CyclicLR", "OneCycleLR")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The epoch parameter")  # both libraries warn
        if isinstance(library, Theirs):
            warnings.simplefilter("ignore")  # PyTorch warns of the first steps of nested schedules
        if case.before is not None:
            case.before(library, optimizer)
        schedule = make(case, library, optimizer)
        rows = [row(optimizer, momentum)]
        for t in range(1, STEPS + 1):
            if t == case.resumed:
                schedule = make(case, library, optimizer, last_epoch=schedule.last_epoch)
            optimizer.step()
            case.drive(schedule, t)
            rows.append(row(optimizer, momentum))
            assert schedule.get_last_lr() == rows[-1][: len(case.lrs)]
    return rows


def digest(rows: list[list[float]]) -> list[list[float]]:
    """The rows to commit, rounded to 14 digits."""
    return [[float(f"{value:.14g}") for value in values] for values in rows[::EVERY]]


# -- the table ---------------------------------------------------------------------------------------------------------
def inverse(epoch: int) -> float:
    return 1 / (1 + 0.1 * epoch)


def wave(epoch: int) -> float:
    return 1 + 0.1 * math.sin(epoch)


def metric(t: int) -> float:
    """A metric that falls, stays, rises and falls again."""
    return (
        1 / (1 + min(t, 60) / 10) + (0.3 if 100 < t < 140 else 0) - (0.05 if t > 170 else 0) + 0.001 * math.sin(3 * t)
    )


def jump(schedule: Any, t: int) -> None:
    """Make a step; every 40th step is a jump to an earlier or later epoch."""
    if t % 40 == 0:
        schedule.step(t // 3)
    else:
        schedule.step()


def fractions(schedule: Any, t: int) -> None:
    schedule.step(t / 7)


def by_metric(schedule: Any, t: int) -> None:
    schedule.step(metric(t))


def by_accuracy(schedule: Any, t: int) -> None:
    schedule.step(1 - metric(t))


def disturbed(schedule: Any, t: int) -> None:
    """Make a step, and change the learning rates before every 25th step."""
    if t % 25 == 0:
        for group in schedule.optimizer.param_groups:
            group["lr"] = group["lr"] * 1.5 + 0.001
    schedule.step()


def warm_up_then_cosine(library: Any, optimizer: Any) -> Any:
    first = library.LinearLR(optimizer, start_factor=0.1, total_iters=20)
    return library.SequentialLR(
        optimizer, [first, library.CosineAnnealingLR(optimizer, T_max=150, eta_min=1e-4)], milestones=[20]
    )


def one_of_each(library: Any, optimizer: Any) -> Any:
    schedules = [
        library.ConstantLR(optimizer, factor=0.5, total_iters=10),
        library.LambdaLR(optimizer, inverse),
        library.StepLR(optimizer, step_size=4, gamma=0.7),
        library.CosineAnnealingWarmRestarts(optimizer, T_0=7, T_mult=2),
        library.PolynomialLR(optimizer, total_iters=30, power=2.0),
        library.MultiplicativeLR(optimizer, wave),
        library.ExponentialLR(optimizer, gamma=0.97),
    ]
    return library.SequentialLR(optimizer, schedules, milestones=[15, 40, 70, 120, 140, 170])


def from_the_second(library: Any, optimizer: Any) -> Any:
    schedules = [
        library.ConstantLR(optimizer),
        library.ExponentialLR(optimizer, gamma=0.9),
        library.StepLR(optimizer, step_size=3),
    ]
    return library.SequentialLR(optimizer, schedules, milestones=[0, 30])


def nested(library: Any, optimizer: Any) -> Any:
    inner = library.SequentialLR(
        optimizer,
        [library.ConstantLR(optimizer, factor=0.2), library.ExponentialLR(optimizer, gamma=0.95)],
        milestones=[12],
    )
    return library.SequentialLR(optimizer, [inner, library.StepLR(optimizer, step_size=10, gamma=0.5)], milestones=[60])


def chained(library: Any, optimizer: Any) -> Any:
    schedules = [
        library.ConstantLR(optimizer, factor=0.1, total_iters=20),
        library.ExponentialLR(optimizer, gamma=0.98),
        library.CosineAnnealingLR(optimizer, T_max=60, eta_min=0.001),
        library.MultiStepLR(optimizer, milestones=[50, 100], gamma=0.3),
    ]
    return library.ChainedScheduler(schedules, optimizer=optimizer)


def chain_first(library: Any, optimizer: Any) -> Any:
    chain = library.ChainedScheduler([library.LinearLR(optimizer), library.ExponentialLR(optimizer, gamma=0.9)])
    return library.SequentialLR(optimizer, [chain, library.StepLR(optimizer, step_size=50)], milestones=[25])


def swa_after(library: Any, optimizer: Any) -> Any:
    library.ExponentialLR(optimizer, gamma=0.9)
    return library.SWALR(optimizer, swa_lr=0.02, anneal_epochs=15)


def constant(library: Any, optimizer: Any) -> None:
    library.ConstantLR(optimizer)


TWO = (0.1, 0.025)

CASES = [
    Case("LambdaLR", {"lr_lambda": inverse}),
    Case("LambdaLR", {"lr_lambda": [inverse, wave]}, lrs=TWO),
    Case("LambdaLR", {"lr_lambda": inverse}, resumed=50),
    Case("LambdaLR", {"lr_lambda": inverse}, "jumps", drive=jump),
    Case("MultiplicativeLR", {"lr_lambda": wave}),
    Case("MultiplicativeLR", {"lr_lambda": [wave, inverse]}, lrs=TWO),
    Case("MultiplicativeLR", {"lr_lambda": wave}, resumed=50),
    Case("StepLR", {"step_size": 30}),
    Case("StepLR", {"step_size": 7, "gamma": 0.9}, lrs=TWO),
    Case("StepLR", {"step_size": 7, "gamma": 0.9}, "disturbed", drive=disturbed),
    Case("StepLR", {"step_size": 7, "gamma": 0.9}, "jumps", drive=jump),
    Case("StepLR", {"step_size": 7, "gamma": 0.9}, resumed=50),
    Case("StepLR", {"step_size": 7, "gamma": 0.9}, resumed=49),
    Case("MultiStepLR", {"milestones": [30, 80]}),
    Case("MultiStepLR", {"milestones": [5, 50, 50, 120], "gamma": 0.5}, lrs=TWO),
    Case("MultiStepLR", {"milestones": [5, 50, 50, 120], "gamma": 0.5}, "jumps", drive=jump),
    Case("MultiStepLR", {"milestones": [5, 50, 120], "gamma": 0.5}, resumed=50),
    Case("ConstantLR"),
    Case("ConstantLR", {"factor": 0.25, "total_iters": 90}, lrs=TWO),
    Case("ConstantLR", {"factor": 0.25, "total_iters": 90}, "jumps", drive=jump),
    Case("ConstantLR", {"factor": 0.25, "total_iters": 90}, resumed=50),
    Case("LinearLR"),
    Case("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 150}, lrs=TWO),
    Case("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 100}, "jumps", drive=jump),
    Case("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 100}, resumed=50),
    Case("ExponentialLR", {"gamma": 0.97}),
    Case("ExponentialLR", {"gamma": 1.01}, "disturbed", lrs=TWO, drive=disturbed),
    Case("ExponentialLR", {"gamma": 0.97}, "jumps", drive=jump),
    Case("ExponentialLR", {"gamma": 0.97}, resumed=50),
    Case("PolynomialLR"),
    Case("PolynomialLR", {"total_iters": 180, "power": 0.9}, lrs=TWO),
    Case("PolynomialLR", {"total_iters": 180, "power": 2.0}, "jumps", drive=jump),
    Case("PolynomialLR", {"total_iters": 180, "power": 2.0}, resumed=50),
    Case("CosineAnnealingLR", {"T_max": 200}),
    Case("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001}, lrs=TWO),
    Case("CosineAnnealingLR", {"T_max": 1}),
    Case("CosineAnnealingLR", {"T_max": 60}, "disturbed", drive=disturbed),
    Case("CosineAnnealingLR", {"T_max": 60, "eta_min": 0.001}, "jumps", drive=jump),
    Case("CosineAnnealingLR", {"T_max": 120, "eta_min": 0.001}, resumed=50),
    Case("CosineAnnealingWarmRestarts", {"T_0": 20}),
    Case("CosineAnnealingWarmRestarts", {"T_0": 10, "T_mult": 2, "eta_min": 0.001}, lrs=TWO),
    Case("CosineAnnealingWarmRestarts", {"T_0": 10, "T_mult": 2}, "jumps", drive=jump),
    Case("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 3}, "fractions", drive=fractions),
    Case("CosineAnnealingWarmRestarts", {"T_0": 4}, "fractions", drive=fractions),
    Case("CosineAnnealingWarmRestarts", {"T_0": 30}, resumed=50),
    Case("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1}),
    Case(
        "CyclicLR",
        {
            "base_lr": [0.01, 0.02],
            "max_lr": [0.1, 0.3],
            "step_size_up": 20,
            "step_size_down": 35,
            "mode": "triangular2",
            "base_momentum": [0.7, 0.8],
            "max_momentum": [0.9, 0.95],
        },
        lrs=TWO,
    ),
    Case(
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 15, "mode": "exp_range", "gamma": 0.99},
        optimizer="Adam",
    ),
    Case(
        "CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 15, "scale_fn": inverse, "cycle_momentum": False}
    ),
    Case(
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 15, "scale_fn": inverse, "scale_mode": "iterations"},
    ),
    Case("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 40}, "jumps", drive=jump),
    Case("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 40}, resumed=50),
    Case("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 40}, "second", before=constant),
    Case("OneCycleLR", {"max_lr": 0.5, "total_steps": 200}),
    Case(
        "OneCycleLR",
        {
            "max_lr": [0.5, 0.2],
            "epochs": 10,
            "steps_per_epoch": 21,
            "anneal_strategy": "linear",
            "base_momentum": [0.7, 0.8],
            "max_momentum": [0.9, 0.98],
        },
        lrs=TWO,
    ),
    Case(
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": 220,
            "three_phase": True,
            "pct_start": 0.2,
            "div_factor": 10.0,
            "final_div_factor": 100.0,
        },
        optimizer="Adam",
    ),
    Case(
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 200, "three_phase": True, "anneal_strategy": "linear", "cycle_momentum": False},
    ),
    Case("OneCycleLR", {"max_lr": 0.5, "total_steps": 200, "pct_start": 0.0}),
    Case("OneCycleLR", {"max_lr": 0.5, "total_steps": 240}, resumed=50),
    Case("OneCycleLR", {"max_lr": 0.5, "total_steps": 240}, "jumps", drive=jump),
    Case("SequentialLR", variant="warm-up, cosine", build=warm_up_then_cosine, lrs=TWO),
    Case("SequentialLR", variant="seven", build=one_of_each),
    Case("SequentialLR", variant="from the second", build=from_the_second),
    Case("SequentialLR", variant="nested", build=nested),
    Case("SequentialLR", variant="a chain first", build=chain_first),
    Case("ChainedScheduler", variant="four", build=chained, lrs=TWO),
    Case("ReduceLROnPlateau", drive=by_metric),
    Case(
        "ReduceLROnPlateau",
        {"factor": 0.5, "patience": 3, "cooldown": 5, "min_lr": [0.01, 0.001]},
        lrs=TWO,
        drive=by_metric,
    ),
    Case("ReduceLROnPlateau", {"mode": "max", "factor": 0.7, "patience": 2, "threshold": 0.01}, drive=by_accuracy),
    Case(
        "ReduceLROnPlateau",
        {"mode": "max", "factor": 0.7, "patience": 2, "threshold": 0.01, "threshold_mode": "abs"},
        drive=by_accuracy,
    ),
    Case(
        "ReduceLROnPlateau",
        {"factor": 0.3, "patience": 0, "threshold": 0.001, "threshold_mode": "abs", "eps": 1e-5},
        drive=by_metric,
    ),
    Case("SWALR", {"swa_lr": 0.05}),
    Case("SWALR", {"swa_lr": [0.05, 0.5], "anneal_epochs": 50, "anneal_strategy": "linear"}, lrs=TWO),
    Case("SWALR", {"swa_lr": 0.05, "anneal_epochs": 0}),
    Case("SWALR", {"swa_lr": 0.05, "anneal_epochs": 100}, resumed=50),
    Case("SWALR", variant="after another", build=swa_after),
]

TABLE = {case.name: case for case in CASES}
