"""Schedules raise for invalid settings, functions, groups and optimizers, and change nothing then."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.optim import lr_scheduler
from tests.reference.lr_scheduler_cases import Theirs
from tests.support.schedules import FIRST_CASES, OURS, make_case, run_steps, sgd

# -- settings out of range ---------------------------------------------------------------------------------------------
NUMBERS = [-0.1, math.nan, math.inf, "0.1", None, 1j]
COUNTS = [0, -1, 2.5, math.nan, math.inf, "5", True]
#: Class -> (valid arguments, name of an argument -> its invalid values).
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "LambdaLR": ({"lr_lambda": abs}, {}),
    "MultiplicativeLR": ({"lr_lambda": abs}, {}),
    "StepLR": ({"step_size": 5}, {"step_size": [*COUNTS, None], "gamma": NUMBERS}),
    "MultiStepLR": (
        {"milestones": [5]},
        {"milestones": [3, None, "35", [-1], [2.5], [math.nan], [True]], "gamma": NUMBERS},
    ),
    "ConstantLR": ({}, {"factor": [*NUMBERS, 1.5], "total_iters": COUNTS}),
    "LinearLR": ({}, {"start_factor": [*NUMBERS, 0.0, 1.5], "end_factor": [*NUMBERS, 1.5], "total_iters": COUNTS}),
    "ExponentialLR": ({"gamma": 0.9}, {"gamma": NUMBERS}),
    "PolynomialLR": ({}, {"total_iters": COUNTS, "power": NUMBERS}),
    "CosineAnnealingLR": ({"T_max": 5}, {"T_max": COUNTS, "eta_min": NUMBERS}),
    "CosineAnnealingWarmRestarts": ({"T_0": 5}, {"T_0": COUNTS, "T_mult": COUNTS, "eta_min": NUMBERS}),
    "CyclicLR": (
        {"base_lr": 0.1, "max_lr": 0.5},
        {
            "base_lr": [*NUMBERS, 0.6, [-0.1], [0.1, 0.1]],
            "max_lr": [*NUMBERS, 0.01],
            "step_size_up": [0, -1, math.nan, math.inf, "5"],
            "step_size_down": [0, -1, math.nan],
            "mode": ["square", None],
            "gamma": NUMBERS,
            "cycle_momentum": ["yes", None],
            "base_momentum": [*NUMBERS, 0.99, 1.0, [0.1, 0.1]],
            "max_momentum": [*NUMBERS, 0.5, 1.0],
        },
    ),
    "OneCycleLR": (
        {"max_lr": 0.5, "total_steps": 20},
        {
            "max_lr": [*NUMBERS, [0.1, 0.1]],
            "total_steps": COUNTS,
            "pct_start": [*NUMBERS, 1.5],
            "anneal_strategy": ["sin", None],
            "base_momentum": [*NUMBERS, 0.99, 1.0],
            "max_momentum": [*NUMBERS, 0.5, 1.0],
            "div_factor": [*NUMBERS, 0.0],
            "final_div_factor": [*NUMBERS, 0.0],
            "three_phase": ["yes"],
            "cycle_momentum": [None],
        },
    ),
    "ReduceLROnPlateau": (
        {},
        {
            "mode": ["least", None],
            "factor": [*NUMBERS, 1.0],
            "patience": [-1, 2.5, math.inf],
            "threshold": NUMBERS,
            "threshold_mode": ["both"],
            "cooldown": [-1, 2.5, math.nan],
            "min_lr": [*NUMBERS, [0.1, 0.1], [-1]],
            "eps": NUMBERS,
        },
    ),
    "SWALR": (
        {"swa_lr": 0.1},
        {"swa_lr": [*NUMBERS, [0.1, 0.1]], "anneal_epochs": [-1, 2.5, math.nan, "5"], "anneal_strategy": ["sin", None]},
    ),
}


@pytest.mark.parametrize(
    ("cls", "argument", "value"),
    [
        (cls, argument, value)
        for cls, (_, bad) in SETTINGS.items()
        for argument, values in bad.items()
        for value in values
    ],
)
def test_invalid_settings_raise(cls: str, argument: str, value: Any) -> None:
    optimizer = sgd()
    before = repr(optimizer)
    with pytest.raises(ValueError) as caught:
        getattr(OURS, cls)(optimizer, **(SETTINGS[cls][0] | {argument: value}))
    message = str(caught.value)
    assert message.startswith(f"{cls}: ") and argument in message
    shown = value if not isinstance(value, list) else value[0]
    assert repr(shown) in message or "groups" in message or "at most" in message
    assert repr(optimizer) == before


@pytest.mark.parametrize("cls", [cls for cls in SETTINGS if cls != "ReduceLROnPlateau"])
@pytest.mark.parametrize("last_epoch", [-2, 1.5, math.nan, "5", None, True])
def test_an_invalid_last_epoch_raises(cls: str, last_epoch: Any) -> None:
    optimizer = sgd()
    before = repr(optimizer)
    with pytest.raises(ValueError, match=f"{cls}: (last_epoch|T_cur) is a (whole|finite) number"):
        getattr(OURS, cls)(optimizer, **SETTINGS[cls][0], last_epoch=last_epoch)
    assert repr(optimizer) == before


@pytest.mark.parametrize("cls", SETTINGS)
def test_numpy_scalars_are_accepted_as_settings(cls: str) -> None:
    numpys = {float: numpy.float64, int: numpy.int64}
    arguments = {
        key: numpys[type(value)](value) if type(value) in numpys else value for key, value in SETTINGS[cls][0].items()
    }
    schedule = getattr(OURS, cls)(sgd(), **arguments)
    assert json.loads(json.dumps(schedule.state_dict())) == schedule.state_dict()


@pytest.mark.parametrize("cls", SETTINGS)
def test_anything_but_an_optimizer_raises(cls: str) -> None:
    wrong: list[Any] = [None, nn.Linear(1, 1), [sgd()], rustorch.SGD]
    if find_spec("torch"):
        wrong.append(Theirs().optimizer("SGD", (0.1,)))
    for one in wrong:
        kind = f"{type(one).__module__}.{type(one).__name__}"
        with pytest.raises(
            TypeError, match=rf"{cls} schedules an Optimizer of rustorch, such as rustorch.optim.SGD\(.*\), not {kind}"
        ):
            getattr(OURS, cls)(one, **SETTINGS[cls][0])


@pytest.mark.parametrize("cls", ["CyclicLR", "OneCycleLR"])
def test_cycled_momentum_needs_an_optimizer_with_momentum(cls: str) -> None:
    optimizer = rustorch.Adagrad([nn.Parameter([1.0])], lr=0.1)
    before = repr(optimizer)
    with pytest.raises(
        ValueError, match=f"{cls}: optimizer must support momentum or beta1 .*, and Adagrad has neither"
    ):
        getattr(OURS, cls)(optimizer, **SETTINGS[cls][0])
    assert repr(optimizer) == before
    getattr(OURS, cls)(optimizer, **SETTINGS[cls][0], cycle_momentum=False)


@pytest.mark.parametrize("cls", ["LambdaLR", "MultiplicativeLR"])
def test_invalid_functions_and_factors_raise(cls: str) -> None:
    optimizer = sgd()
    kind = getattr(lr_scheduler, cls)
    with pytest.raises(TypeError, match=f"{cls}: lr_lambda is a function of the epoch, or a list of them, not 0.5"):
        kind(optimizer, 0.5)
    with pytest.raises(ValueError, match=f"{cls}: lr_lambda has 2 values, and the optimizer has 1 groups"):
        kind(optimizer, [abs, abs])
    for value in (-1.0, math.nan, math.inf, None, "x", [1.0]):
        schedule = kind(optimizer, lambda epoch, value=value: 1.0 if epoch == 0 else value)
        before, state = repr(optimizer), schedule.state_dict()
        optimizer.step()
        with pytest.raises(
            ValueError,
            match=rf"{cls}: lr_lambda\(1\) of group 0 is .*; a factor is a finite number that is not negative",
        ):
            schedule.step()
        assert (repr(optimizer), schedule.state_dict()) == (before, state)


def test_a_function_that_raises_does_not_change_the_optimizer() -> None:
    optimizer = sgd()
    before = repr(optimizer)

    def fails(epoch: int) -> float:
        raise ZeroDivisionError("of the user's")

    with pytest.raises(ZeroDivisionError, match="of the user's"):
        lr_scheduler.LambdaLR(optimizer, fails)
    with pytest.raises(ZeroDivisionError, match="of the user's"):
        lr_scheduler.CyclicLR(optimizer, 0.2, 0.3, scale_fn=fails)
    with pytest.raises(TypeError, match="CyclicLR: scale_fn is a function of a number, not 3"):
        lr_scheduler.CyclicLR(optimizer, 0.2, 0.3, scale_fn=3)  # type: ignore[arg-type]
    assert repr(optimizer) == before


def test_one_cycle_needs_its_number_of_steps() -> None:
    optimizer = sgd()
    for arguments in ({}, {"epochs": 3}, {"steps_per_epoch": 3}):
        with pytest.raises(ValueError, match="OneCycleLR: give total_steps, or both epochs and steps_per_epoch"):
            lr_scheduler.OneCycleLR(optimizer, 0.1, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="OneCycleLR: epochs is a whole number of at least 1, not 0"):
        lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=0, steps_per_epoch=3)


def test_one_cycle_raises_after_its_last_step() -> None:
    optimizer = sgd()
    schedule = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    before, state = repr(optimizer), schedule.state_dict()
    with pytest.raises(ValueError, match=r"Tried to step 6 times\. The specified number of total steps is 5"):
        schedule.step()
    assert (repr(optimizer), schedule.state_dict()) == (before, state)


@pytest.mark.parametrize("cls", SETTINGS)
def test_an_invalid_epoch_raises(cls: str) -> None:
    optimizer = sgd()
    schedule = getattr(OURS, cls)(optimizer, **SETTINGS[cls][0])
    optimizer.step()
    metric = (1.0,) if cls == "ReduceLROnPlateau" else ()
    before, state = repr(optimizer), schedule.state_dict()
    for wrong, error, message in (
        (sgd(), TypeError, rf"{cls}.step: epoch is a number, not SGD; call step\(\) without it"),
        ("5", TypeError, rf"{cls}.step: epoch is a number, not str"),
        (-1, ValueError, rf"{cls}.step: epoch is a finite number that is not negative, not -1"),
        (math.nan, ValueError, rf"{cls}.step: epoch is a finite number that is not negative, not nan"),
    ):
        with pytest.raises(error, match=message):
            schedule.step(*metric, wrong)
    assert (repr(optimizer), schedule.state_dict()) == (before, state)


def test_a_plateau_needs_a_metric() -> None:
    optimizer = sgd()
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for wrong in (None, "low", [1.0, 2.0], sgd()):
        with pytest.raises(TypeError, match=r"ReduceLROnPlateau\.step takes the metric of an epoch, one number, not"):
            schedule.step(wrong)
    assert (schedule.last_epoch, schedule.best) == (0, math.inf)
    for metric in (numpy.float32(2.0), rustorch.tensor(3.0, requires_grad=True), numpy.asarray(1.5), math.nan):
        schedule.step(metric)
    assert (schedule.best, schedule.last_epoch) == (1.5, 4)
    assert optimizer.lr == pytest.approx(0.001), "3.0 and nan are not better"


# -- groups and optimizers that do not fit -----------------------------------------------------------------------------
@pytest.mark.parametrize("cls", [cls for cls in FIRST_CASES if cls != "ReduceLROnPlateau"])
def test_groups_that_are_added_later_raise_and_nothing_changes(cls: str) -> None:
    case = FIRST_CASES[cls]
    optimizer, schedule = make_case(case)
    run_steps(case, optimizer, schedule, 1, 3)
    optimizer.add_param_group({"params": [nn.Parameter([1.0])]})
    before, state = repr(optimizer), schedule.state_dict()
    n = len(case.lrs)
    with pytest.raises(
        ValueError,
        match=f"was made for {n} groups? of parameters, and the optimizer has {n + 1} now; make a new schedule",
    ):
        schedule.step()
    assert (repr(optimizer), schedule.state_dict()) == (before, state)


def test_a_plateau_accepts_new_groups_if_min_lr_is_one_number() -> None:
    optimizer = sgd(1.0)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.3)
    listed = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.3])
    schedule.step(1.0)
    optimizer.add_param_group({"params": [nn.Parameter([1.0])], "lr": 2.0})
    schedule.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.3]
    before, state = repr(optimizer), listed.state_dict()
    with pytest.raises(
        ValueError, match="has min_lr for 1 groups of parameters, and the optimizer has 2 now; append to its min_lrs"
    ):
        listed.step(1.0)
    assert (repr(optimizer), listed.state_dict()) == (before, state)


COMPOSITES: list[Any] = [
    lambda optimizer, schedulers: lr_scheduler.SequentialLR(optimizer, schedulers, milestones=[5]),
    lambda optimizer, schedulers: lr_scheduler.ChainedScheduler(schedulers, optimizer=optimizer),
]


@pytest.mark.parametrize("build", COMPOSITES, ids=["SequentialLR", "ChainedScheduler"])
def test_schedules_of_another_optimizer_or_kind_raise(build: Any) -> None:
    optimizer, foreign = sgd(), sgd()
    own_schedule, other_schedule = lr_scheduler.StepLR(optimizer, 5), lr_scheduler.StepLR(foreign, 5)
    before, state = repr(optimizer), own_schedule.state_dict()
    for schedulers, error, message in (
        (
            [own_schedule, other_schedule],
            ValueError,
            r"all schedulers to belong to the same optimizer, but schedulers\[1\] \(StepLR\) has another SGD",
        ),
        (
            [own_schedule, lr_scheduler.ReduceLROnPlateau(optimizer)],
            ValueError,
            "does not support `ReduceLROnPlateau`.* at index 1",
        ),
        ([own_schedule, optimizer], TypeError, r"schedulers\[1\] is a rustorch.optim.sgd.SGD, no schedule of rustorch"),
        ([], ValueError, "expects at least one scheduler, but got no scheduler"),
        (own_schedule, TypeError, "schedulers is a list of schedules, not StepLR"),
    ):
        with pytest.raises(error, match=message):
            build(optimizer, schedulers)
    assert (repr(optimizer), own_schedule.state_dict()) == (before, state)
    if find_spec("torch"):
        with pytest.raises(
            TypeError, match=r"schedulers\[1\] is a torch.optim.lr_scheduler.StepLR, no schedule of rustorch"
        ):
            build(optimizer, [own_schedule, Theirs().StepLR(Theirs().optimizer("SGD", (0.1,)), 5)])


def test_a_sequence_with_the_optimizer_of_other_schedules_raises() -> None:
    optimizer = sgd()
    with pytest.raises(ValueError, match=r"but schedulers\[0\] \(StepLR\) has another SGD than this one's"):
        lr_scheduler.SequentialLR(sgd(), [lr_scheduler.StepLR(optimizer, 5)], [])
    with pytest.raises(TypeError, match=r"SequentialLR schedules an Optimizer of rustorch, .* not builtins.NoneType"):
        lr_scheduler.SequentialLR(None, [lr_scheduler.StepLR(optimizer, 5)], [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("milestones", "message"),
    [
        ([], "milestones are one fewer than the schedules, 2, not 0"),
        ([5], "milestones are one fewer than the schedules, 2, not 1"),
        ([7, 5], r"milestones are in rising order, not \[7, 5\]"),
        ([-1, 5], "milestones is a whole number of at least 0, not -1"),
        ([2.5, 5], "milestones is a whole number of at least 0, not 2.5"),
        (5, "milestones is a list, not 5"),
    ],
)
def test_milestones_that_do_not_fit_raise(milestones: Any, message: str) -> None:
    optimizer = sgd()
    schedulers = [lr_scheduler.ConstantLR(optimizer) for _ in range(3)]
    before = repr(optimizer), [one.state_dict() for one in schedulers]
    with pytest.raises(ValueError, match=f"SequentialLR: {message}"):
        lr_scheduler.SequentialLR(optimizer, schedulers, milestones)
    assert (repr(optimizer), [one.state_dict() for one in schedulers]) == before


@pytest.mark.parametrize("build", COMPOSITES, ids=["SequentialLR", "ChainedScheduler"])
def test_an_inner_schedule_that_fails_changes_nothing(build: Any) -> None:
    optimizer = sgd()
    first = lr_scheduler.ExponentialLR(optimizer, 0.5)
    second = lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (epoch != 2))
    schedule = build(optimizer, [first, second])
    with pytest.raises(ZeroDivisionError):
        for _ in range(10):
            optimizer.step()
            before = repr(optimizer), schedule.state_dict()
            schedule.step()
    assert (repr(optimizer), schedule.state_dict()) == before
