"""States of schedules: resumed runs, states from JSON and from PyTorch, and states that are refused."""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest

from rustorch.optim import lr_scheduler
from tests.reference.lr_scheduler_cases import TABLE, Theirs, make
from tests.support.schedules import FIRST_CASES, OURS, make_case, run_steps, sgd


# -- state -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name, case in TABLE.items() if not case.resumed])
def test_a_run_resumed_from_json_is_the_same(name: str) -> None:
    case = TABLE[name]
    through = run_steps(case, *make_case(case), 1, 101)
    optimizer, schedule = make_case(case)
    start = run_steps(case, optimizer, schedule, 1, 43)
    text = json.dumps([schedule.state_dict(), optimizer.state_dict()["param_groups"]])
    state, groups = json.loads(text)
    assert state == schedule.state_dict()
    optimizer, resumed = make_case(case)
    resumed.load_state_dict(state)
    optimizer.load_state_dict({"state": {}, "param_groups": groups})
    assert resumed.state_dict() == schedule.state_dict()
    assert resumed.get_last_lr() == schedule.get_last_lr()
    assert start + run_steps(case, optimizer, resumed, 43, 101) == through


@pytest.mark.parametrize("name", [name for name, case in TABLE.items() if not case.resumed])
def test_pytorchs_state_is_loaded_and_has_the_same_keys(name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed to make a state")
    case, theirs = TABLE[name], Theirs()
    their_optimizer = theirs.optimizer(case.optimizer, case.lrs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their_schedule = make(case, theirs, their_optimizer)
        run_steps(case, their_optimizer, their_schedule, 1, 43)
        state = copy.deepcopy(their_schedule.state_dict())
        groups = copy.deepcopy(their_optimizer.state_dict()["param_groups"])
        expected = run_steps(case, their_optimizer, their_schedule, 43, 101)
    optimizer, schedule = make_case(case)
    schedule.load_state_dict(state)
    optimizer.load_state_dict({"state": {}, "param_groups": groups})
    assert set(schedule.state_dict()) == {"kind", *state}
    numpy.testing.assert_allclose(run_steps(case, optimizer, schedule, 43, 101), expected, rtol=1e-12, atol=0)


def test_a_state_contains_the_settings() -> None:
    schedule = lr_scheduler.StepLR(sgd(), 5)
    schedule.load_state_dict(lr_scheduler.StepLR(sgd(), 7, 0.5).state_dict())
    assert (schedule.step_size, schedule.gamma) == (7, 0.5)


def test_a_state_is_a_copy() -> None:
    schedule = lr_scheduler.StepLR(sgd(), 5)
    state = schedule.state_dict()
    state["base_lrs"][0] = 7.0
    assert schedule.base_lrs == [0.1]
    schedule.load_state_dict(state)
    state["base_lrs"][0] = 8.0
    assert schedule.base_lrs == [7.0]
    schedule.get_last_lr()[0] = 9.0
    assert schedule.get_last_lr() == [0.1]


class Factor:
    def __init__(self, factor: float):
        self.factor = factor

    def __call__(self, epoch: float) -> float:
        return self.factor


@pytest.mark.parametrize(
    "build",
    [
        lambda o, f: lr_scheduler.LambdaLR(o, f),
        lambda o, f: lr_scheduler.MultiplicativeLR(o, [f]),
        lambda o, f: lr_scheduler.CyclicLR(o, 0.1, 1.0, scale_fn=f),
    ],
)
def test_a_state_contains_the_attributes_of_callable_objects(build: Callable[..., Any]) -> None:
    old, new = Factor(0.5), Factor(0.75)
    state = json.loads(json.dumps(build(sgd(), old).state_dict()))
    build(sgd(), new).load_state_dict(state)
    assert new.factor == 0.5
    plain = build(sgd(), lambda epoch: 1.0)
    before = plain.state_dict()
    with pytest.raises(ValueError, match="given, for a function that has none"):
        plain.load_state_dict(state)
    assert plain.state_dict() == before


@pytest.mark.parametrize("loaded", FIRST_CASES)
@pytest.mark.parametrize("needed", FIRST_CASES)
def test_a_state_of_another_class_is_refused(needed: str, loaded: str) -> None:
    _, schedule = make_case(FIRST_CASES[needed])
    state = make_case(FIRST_CASES[loaded])[1].state_dict()
    if loaded == needed:
        schedule.load_state_dict(state)
        return
    before = schedule.state_dict()
    with pytest.raises(
        ValueError,
        match=f"{needed}.load_state_dict: nothing was loaded, because of\n  kind: {loaded} given, {needed} needed",
    ):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


def test_a_subclass_loads_the_state_of_its_base_but_not_the_reverse() -> None:
    class Printed(lr_scheduler.StepLR):
        pass

    own, base = Printed(sgd(), 5), lr_scheduler.StepLR(sgd(), 7)
    own.load_state_dict(base.state_dict())
    assert own.step_size == 7
    with pytest.raises(ValueError, match="kind: Printed given, StepLR needed"):
        base.load_state_dict(own.state_dict())


BROKEN_STATES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("StepLR", lambda s: s.pop("gamma"), "missing: gamma"),
    ("StepLR", lambda s: s.update(T_max=3), "unexpected: T_max"),
    ("StepLR", lambda s: s.update(base_lrs=[0.1, 0.2]), r"base_lrs: \[0.1, 0.2\] given, a list of 1 needed"),
    ("StepLR", lambda s: s.update(gamma=math.nan), "gamma is a finite number that is not negative, not nan"),
    ("StepLR", lambda s: s.update(last_epoch="5"), "last_epoch is a finite number, not '5'"),
    ("StepLR", lambda s: s.update(_step_count=-1), "_step_count is a whole number of at least 0, not -1"),
    ("StepLR", lambda s: s.update(_last_lr=[math.inf]), "_last_lr is a finite number, not inf"),
    (
        "MultiStepLR",
        lambda s: s.update(milestones={"thirty": 1}),
        "milestones is a whole number of at least 0, not 'thirty'",
    ),
    ("MultiStepLR", lambda s: s.update(milestones=5), "milestones is a list of epochs, not 5"),
    ("CosineAnnealingWarmRestarts", lambda s: s.update(T_i=0), "T_i is a whole number of at least 1, not 0"),
    ("CyclicLR", lambda s: s.update(use_beta1=True), "use_beta1: True given, and the optimizer has no betas"),
    (
        "CyclicLR",
        lambda s: s.update(mode="square"),
        "mode is one of 'triangular', 'triangular2', 'exp_range', not 'square'",
    ),
    ("CyclicLR", lambda s: s.update(step_ratio=1.0), "step_ratio is a number from 0 to below 1, not 1.0"),
    ("OneCycleLR", lambda s: s.update(_schedule_phases=[]), r"_schedule_phases is a list of phases, not \[\]"),
    ("OneCycleLR", lambda s: s["_schedule_phases"][0].update(end_lr="lr"), "_schedule_phases is a list of phases, not"),
    ("SequentialLR", lambda s: s["_milestones"].append(99), "_milestones are one fewer than the schedules, 1, not 2"),
    ("SequentialLR", lambda s: s["_schedulers"].pop(), "_schedulers: a list of 2 states needed"),
    (
        "SequentialLR",
        lambda s: s["_schedulers"][1].update(T_max=-1),
        r"_schedulers\[1\]: T_max is a whole number of at least 1, not -1",
    ),
    (
        "ChainedScheduler",
        lambda s: s["_schedulers"].reverse(),
        r"_schedulers\[0\]: kind: MultiStepLR given, ConstantLR needed",
    ),
    ("ReduceLROnPlateau", lambda s: s.update(best="good"), "best is a number, not 'good'"),
    ("ReduceLROnPlateau", lambda s: s.update(patience=-1), "patience is a whole number of at least 0, not -1"),
    ("SWALR", lambda s: s.update(_anneal_strategy="sin"), "_anneal_strategy is one of 'cos', 'linear', not 'sin'"),
]


@pytest.mark.parametrize(("cls", "change", "message"), BROKEN_STATES)
def test_a_malformed_state_is_refused(cls: str, change: Any, message: str) -> None:
    case = FIRST_CASES[cls]
    optimizer, schedule = make_case(case)
    run_steps(case, optimizer, schedule, 1, 30)
    state = schedule.state_dict()
    schedule = make(case, OURS, optimizer)
    before = schedule.state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


def test_a_state_that_is_not_a_dict_raises() -> None:
    with pytest.raises(TypeError, match=r"StepLR.load_state_dict takes a dict, not list"):
        lr_scheduler.StepLR(sgd(), 5).load_state_dict([])  # type: ignore[arg-type]


# -- resuming with last_epoch ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cls", ["StepLR", "OneCycleLR"])
def test_last_epoch_needs_the_entries_of_an_earlier_run_in_the_groups(cls: str) -> None:
    optimizer = sgd()
    before = repr(optimizer)
    with pytest.raises(
        KeyError,
        match=rf"{cls}: last_epoch=5 goes on with a run, but param_groups\[0\] has no 'initial_lr'.*"
        "call optimizer.load_state_dict first",
    ):
        make(FIRST_CASES[cls], OURS, optimizer, last_epoch=5)
    assert repr(optimizer) == before
