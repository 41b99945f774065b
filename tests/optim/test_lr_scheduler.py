"""Schedules: PyTorch's learning rates over 200 steps, schedules of a user, warnings."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import math
import types
import warnings
import weakref
from importlib.util import find_spec
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.optim import lr_scheduler, swa_utils
from tests.reference import load
from tests.reference.lr_scheduler_cases import CASES, TABLE, Theirs, digest, run
from tests.reference.swa_cases import TABLE as AVERAGES
from tests.support.schedules import OURS, sgd
from tests.support.target import Target


# -- PyTorch's numbers -------------------------------------------------------------------------------------------------
def test_every_public_name_is_in_a_table() -> None:
    classes = {
        name for module in (lr_scheduler, swa_utils) for name in module.__all__ if isinstance(getattr(OURS, name), type)
    }
    assert classes - {"LRScheduler", "AveragedModel"} == {case.cls for case in CASES}
    assert len(TABLE) == len(CASES), "two cases have one name"
    averages = {name.partition("(")[0].partition(",")[0] for name in AVERAGES}
    # update_bn runs after every case of averages
    assert {name for name in swa_utils.__all__ if name.startswith("get_")} <= averages
    assert set(swa_utils.__all__) == {
        "AveragedModel",
        "SWALR",
        "update_bn",
        *(name for name in averages if name.startswith("get_")),
    }


@pytest.mark.parametrize("name", TABLE)
def test_two_hundred_steps_are_pytorchs(name: str) -> None:
    case = TABLE[name]
    rows = run(case, OURS)
    assert all(type(value) is float for one in rows for value in one)
    if find_spec("torch"):
        numpy.testing.assert_allclose(rows, run(case, Theirs()), rtol=1e-12, atol=0)
    # at the minimum of a cosine, rounding errors differ from processor to processor
    numpy.testing.assert_allclose(digest(rows), load("lr_scheduler")[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [*lr_scheduler.__all__, *swa_utils.__all__])
def test_signatures_are_pytorchs(name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed to be asked")
    theirs = inspect.signature(getattr(Theirs(), name)).parameters.values()
    ours = inspect.signature(getattr(OURS, name)).parameters.values()
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]
    if name in ("LRScheduler", "ReduceLROnPlateau", "SequentialLR", "CosineAnnealingWarmRestarts"):
        steps = [list(inspect.signature(getattr(library, name).step).parameters) for library in (OURS, Theirs())]
        assert steps[0] == steps[1]


def test_a_training_follows_its_schedule(backend: Target) -> None:
    p = backend.variable([1.0, -2.0], requires_grad=True)
    optimizer = rustorch.SGD([p], lr=1.0)
    schedule = lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        schedule.step()
    assert p.tolist() == [-0.75, -3.75]
    assert schedule.get_last_lr() == [0.125]


def test_two_schedules_change_one_optimizer() -> None:
    optimizer = sgd(1.0)
    one = lr_scheduler.ExponentialLR(optimizer, 0.5)
    other = lr_scheduler.StepLR(optimizer, 2, 0.1)
    for _ in range(4):
        optimizer.step()
        one.step()
        other.step()
    assert optimizer.lr == pytest.approx(0.5**4 * 0.1**2)


def test_a_factor_of_zero_ends_at_the_base_learning_rate() -> None:
    optimizer = sgd(0.1)
    schedule = lr_scheduler.ConstantLR(optimizer, factor=0.0, total_iters=2)
    seen = [optimizer.lr]
    for _ in range(3):
        optimizer.step()
        schedule.step()
        seen.append(optimizer.lr)
    assert seen == [0.0, 0.0, 0.1, 0.1]


@pytest.mark.parametrize(("total", "share"), [(10, 0.1), (10, 1.0), (1, 0.3)])
def test_one_cycle_skips_a_phase_without_length(total: int, share: float) -> None:
    optimizer = sgd(0.1)
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=total, pct_start=share)
    seen = [optimizer.lr]
    for _ in range(total):
        optimizer.step()
        schedule.step()
        seen.append(optimizer.lr)
    assert max(seen[:total]) == (1.0 if total > 1 else seen[0])
    assert all(map(math.isfinite, seen))


def test_a_step_to_the_first_epoch_of_a_cycle_restarts() -> None:
    """PyTorch uses the end of the cycle before where the rounded logarithm is too small."""
    optimizer = sgd(1.0)
    schedule = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=3)
    for restarts in range(1, 8):
        schedule.step((3**restarts - 1) // 2)
        assert optimizer.lr == 1.0
        assert schedule.T_i == 3**restarts


@pytest.mark.parametrize("composite", ["chain", "sequence"])
def test_a_composite_schedule_can_be_the_second_in_a_sequence(composite: str) -> None:
    optimizer = sgd(1.0)
    first = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=100)
    parts = [lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=2), lr_scheduler.ExponentialLR(optimizer, 0.5)]
    second = (
        lr_scheduler.ChainedScheduler(parts)
        if composite == "chain"
        else lr_scheduler.SequentialLR(optimizer, parts, [2])
    )
    schedule = lr_scheduler.SequentialLR(optimizer, [first, second], milestones=[3])
    seen = [optimizer.lr]
    for _ in range(7):
        optimizer.step()
        schedule.step()
        seen.append(optimizer.lr)
    assert seen[:3] == [0.5] * 3
    assert seen[3:] == ([0.25, 0.125, 0.25, 0.125, 0.0625] if composite == "chain" else [0.25, 0.25, 1.0, 0.5, 0.25])
    assert schedule.get_last_lr() == [seen[-1]]


# -- a schedule of a user, as in PyTorch -------------------------------------------------------------------------------
class Root(lr_scheduler._LRScheduler):
    def __init__(self, optimizer: Any, scale: float, last_epoch: int = -1):
        self.scale = scale
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if not self._get_lr_called_within_step:
            warnings.warn("call get_last_lr", stacklevel=2)
        return [base * numpy.float64(self.scale) / math.sqrt(1 + self.last_epoch) for base in self.base_lrs]


def test_a_users_schedule() -> None:
    optimizer = sgd(1.0, 2.0)
    schedule = Root(optimizer, 0.5)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [0.25, 0.5]
    assert [type(group["lr"]) for group in optimizer.param_groups] == [float, float]
    other = Root(sgd(1.0, 2.0), 3.0)
    other.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert (other.scale, other.last_epoch) == (0.5, 3)
    with pytest.warns(UserWarning, match="call get_last_lr"):
        schedule.get_lr()


def test_a_schedule_without_get_lr_raises() -> None:
    with pytest.raises(
        NotImplementedError, match="LRScheduler defines no get_lr, which returns a learning rate for each group"
    ):
        lr_scheduler.LRScheduler(sgd())


def test_a_schedule_that_returns_invalid_rates_changes_nothing() -> None:
    class Wrong(lr_scheduler.LRScheduler):
        numbers = (1.0,)

        def get_lr(self) -> list[float]:
            return list(self.numbers)

    optimizer = sgd()
    schedule = Wrong(optimizer)
    optimizer.step()
    for numbers, message in (
        ((1.0, 2.0), "Wrong.get_lr returned 2 learning rates for 1 groups"),
        ((math.nan,), "Wrong: the learning rate of group 0 in epoch 1 would be nan"),
    ):
        Wrong.numbers = numbers
        with pytest.raises(ValueError, match=message):
            schedule.step()
        assert (optimizer.lr, schedule.last_epoch, schedule._step_count) == (1.0, 0, 1)


# -- warnings ----------------------------------------------------------------------------------------------------------
EARLY = r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"


def test_a_step_before_the_optimizers_step_warns_once() -> None:
    optimizer = sgd()
    schedule = lr_scheduler.StepLR(optimizer, 5)
    with pytest.warns(UserWarning, match=EARLY) as caught:
        schedule.step()
    assert caught[0].filename == __file__
    schedule.step()
    optimizer.step()
    schedule.step()


def test_a_step_of_another_optimizer_does_not_count() -> None:
    optimizer, foreign = sgd(), sgd()
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    foreign.step()
    with pytest.warns(
        UserWarning, match=f"{EARLY}.* If another optimizer makes the steps, make the scheduler with that one"
    ):
        schedule.step()


def test_a_second_schedule_counts_the_steps_since_the_first_one() -> None:
    optimizer = sgd()
    optimizer.step()
    lr_scheduler.ConstantLR(optimizer)
    optimizer.step()
    lr_scheduler.StepLR(optimizer, 5).step()
    late = sgd()
    late.step()
    with pytest.warns(UserWarning, match=EARLY):
        lr_scheduler.StepLR(late, 5).step()


def test_an_optimizer_that_does_not_count_its_steps_does_not_warn() -> None:
    class Own(rustorch.Optimizer):
        def step(self, closure: Any = None) -> None:
            pass

    optimizer = Own([nn.Parameter([1.0])], {"lr": 0.1})
    schedule = lr_scheduler.StepLR(optimizer, 5)
    optimizer.step()
    schedule.step()


def test_a_replaced_step_method_warns() -> None:
    optimizer = sgd()
    schedule = lr_scheduler.StepLR(optimizer, 5)
    optimizer.step = types.MethodType(lambda self: None, optimizer)  # type: ignore[method-assign]
    optimizer.step()
    with pytest.warns(UserWarning, match=r"`optimizer.step\(\)` has been overridden after"):
        schedule.step()


def test_a_call_of_get_lr_by_a_user_warns() -> None:
    schedule = lr_scheduler.LambdaLR(sgd(0.5), lambda epoch: 1.0)
    with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`") as caught:
        assert schedule.get_lr() == [0.5]
    assert caught[0].filename == __file__


def test_a_step_to_an_epoch_warns() -> None:
    optimizer = sgd(1.0)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    with pytest.warns(UserWarning, match=r"The epoch parameter in `scheduler.step\(\)`") as caught:
        schedule.step(3)
    assert (optimizer.lr, schedule.last_epoch, caught[0].filename) == (0.125, 3, __file__)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.warns(UserWarning, match="The epoch parameter"):
        plateau.step(1.0, 5)
    assert plateau.last_epoch == 5


def test_schedule_and_optimizer_make_no_reference_cycle() -> None:
    gc.disable()
    try:
        optimizer = sgd()
        schedule = lr_scheduler.CyclicLR(optimizer, 0.1, 1.0)
        optimizer.step()
        schedule.step()
        references = weakref.ref(optimizer), weakref.ref(schedule)
        del schedule
        del optimizer
        assert [reference() for reference in references] == [None, None]
    finally:
        gc.enable()


def test_a_copy_is_independent() -> None:
    optimizer = sgd(1.0)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    other = copy.deepcopy(schedule)
    other.optimizer.step()
    other.step()
    assert (optimizer.lr, other.optimizer.lr) == (1.0, 0.5)
    with pytest.warns(UserWarning, match=EARLY):
        schedule.step()
