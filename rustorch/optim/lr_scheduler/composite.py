"""Schedules that consist of schedules: SequentialLR and ChainedScheduler."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler, _AllOrNothing
from .settings import each, whole

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composite(LRScheduler):
    """The base of both: the inner schedules, their checks and their states."""

    _schedulers: list[LRScheduler]

    def _all(self) -> Iterator[LRScheduler]:
        yield self
        for scheduler in self._schedulers:
            yield from scheduler._all()

    def _adopt(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        """Store the schedules, after a check that all of them belong to one optimizer."""
        if not isinstance(schedulers, (list, tuple)):
            raise TypeError(f"{self._name}: schedulers is a list of schedules, not {type(schedulers).__name__}")
        if not schedulers:
            raise ValueError(f"{self._name} expects at least one scheduler, but got no scheduler")
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{self._name} does not support `ReduceLROnPlateau`, whose step needs a metric: it got one at "
                    f"index {i}; step that one by itself"
                )
            if not isinstance(scheduler, LRScheduler):
                cls = type(scheduler)
                raise TypeError(
                    f"{self._name}: schedulers[{i}] is a {cls.__module__}.{cls.__qualname__}, no schedule of rustorch"
                )
        self.optimizer = self._checked_optimizer(schedulers[0].optimizer if optimizer is None else optimizer)
        for i, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(
                    f"{self._name} expects all schedulers to belong to the same optimizer, but schedulers[{i}] "
                    f"({scheduler._name}) has another {scheduler.optimizer._name} than this one's; make it with the "
                    f"same optimizer"
                )
        self._schedulers = list(schedulers)

    def _check_groups(self) -> None:
        for scheduler in self._schedulers:
            scheduler._check_groups()

    def step(self) -> None:  # type: ignore[override]
        """Set the next learning rates; call it after the optimizer's step.

        Raises
        ------
        ValueError
            If groups were added to the optimizer after the schedule was made, or an inner schedule raises. Nothing
            changes then.
        """
        self._check_groups()
        with _AllOrNothing(self):
            self._advance()

    def _advance(self) -> None:
        """Make the step of the inner schedules."""
        raise NotImplementedError

    def _initial_step(self) -> None:
        for scheduler in self._all():
            scheduler._step_count = 0  # so that no schedule warns that the optimizer has made no step
        super()._initial_step()

    def state_dict(self) -> dict[str, Any]:
        """The state, with the states of the inner schedules."""
        return super().state_dict() | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def _compare(self, state: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        wrong, values = super()._compare(state)
        states = values.get("_schedulers", [])
        if (
            not isinstance(states, list)
            or len(states) != len(self._schedulers)
            or not all(isinstance(inner, dict) for inner in states)
        ):
            if "_schedulers" in values:
                wrong.append(f"_schedulers: a list of {len(self._schedulers)} states needed")
            return wrong, values
        compared = [scheduler._compare(inner) for scheduler, inner in zip(self._schedulers, states, strict=True)]
        wrong += [f"_schedulers[{i}]: {text}" for i, (texts, _) in enumerate(compared) for text in texts]
        return wrong, values | {"_schedulers": [inner_values for _, inner_values in compared]}

    def _load(self, values: dict[str, Any]) -> None:
        for scheduler, inner_values in zip(self._schedulers, values.pop("_schedulers"), strict=True):
            scheduler._load(inner_values)
        super()._load(values)


class SequentialLR(_Composite):
    """One schedule after the other: at each milestone the next one begins, at its own epoch 0.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
        Schedules of this optimizer.
    milestones : list of int
        The epochs in which the second, third, ... schedule begins: one fewer than there are schedules.
    last_epoch : int
        Leave it at -1. Continue a run with `load_state_dict`.

    Raises
    ------
    TypeError
        If the optimizer or a schedule is not one of rustorch.
    ValueError
        If a schedule belongs to another optimizer or is a `ReduceLROnPlateau`, there are no schedules, or the
        milestones are too many, too few or not in rising order.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.optim.lr_scheduler import ExponentialLR, LinearLR, SequentialLR
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    _milestones: list[int]

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self._adopt(schedulers, self._checked_optimizer(optimizer))
        whole(self._name, settings := {"last_epoch": last_epoch}, -1, "last_epoch")
        checked: dict[str, Any] = {"milestones": milestones}
        self._check_milestones(checked, "milestones")
        self._check_groups()
        self._milestones = checked["milestones"]
        self.last_epoch = settings["last_epoch"] + 1
        with _AllOrNothing(self):
            self._begin()

    def _check_milestones(self, settings: dict[str, Any], name: str) -> None:
        """Raise ValueError unless this setting is a list of epochs in rising order, one fewer than the schedules."""
        each(lambda cls_name, values, option: whole(cls_name, values, 0, option), self._name, settings, name)
        epochs = settings[name]
        if len(epochs) != len(self._schedulers) - 1:
            raise ValueError(
                f"{self._name}: {name} are one fewer than the schedules, {len(self._schedulers) - 1}, not {len(epochs)}"
            )
        if epochs != sorted(epochs):
            raise ValueError(f"{self._name}: {name} are in rising order, not {epochs}")

    def check(self, settings: dict[str, Any]) -> None:
        self._check_milestones(settings, "_milestones")

    def _begin(self) -> None:
        """Undo the first step of each schedule, which its construction made, and begin with the schedule of epoch 0."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in self._schedulers:
            for inner in scheduler._all():
                if not isinstance(inner, _Composite):
                    inner.last_epoch -= 1
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _advance(self) -> None:
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index and self._milestones[index - 1] == self.last_epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._restart()
        self._last_lr = first.get_last_lr()


class ChainedScheduler(_Composite):
    """Schedules that all make each step, one after the other, so that their factors multiply.

    Parameters
    ----------
    schedulers : list of LRScheduler
        Schedules of one optimizer. Each one changes the current learning rate instead of replacing it.
    optimizer : Optimizer, optional
        Default: the optimizer of the first schedule.

    Raises
    ------
    TypeError
        If the optimizer or a schedule is not one of rustorch.
    ValueError
        If a schedule belongs to another optimizer or is a `ReduceLROnPlateau`, or there are no schedules.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> warm_up = ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> schedule = ChainedScheduler([warm_up, ExponentialLR(optimizer, gamma=0.5)])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._adopt(schedulers, optimizer)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _advance(self) -> None:
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _restart(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in self._schedulers:
            for inner in scheduler._all():
                if not isinstance(inner, _Composite):
                    inner.last_epoch = -1
            scheduler._initial_step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
