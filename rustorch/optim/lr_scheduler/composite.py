"""Schedules made of schedules: one after the other, or all at once."""

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
    """What both share: the schedules, their checks and their states."""

    _schedulers: list[LRScheduler]

    def _all(self) -> Iterator[LRScheduler]:
        yield self
        for scheduler in self._schedulers:
            yield from scheduler._all()

    def _adopt(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        """Take the schedules over, once all of them are of one optimizer."""
        if not isinstance(schedulers, (list, tuple)):
            raise TypeError(f"{self._name}: schedulers is a list of schedules, not {type(schedulers).__name__}")
        if not schedulers:
            raise ValueError(f"{self._name} expects at least one scheduler, but got no scheduler")
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{self._name} does not support `ReduceLROnPlateau`, whose step needs a metric: it got one at "
                    f"index {i}; step that one "
                    f"by itself"
                )
            if not isinstance(scheduler, LRScheduler):
                kind = type(scheduler)
                raise TypeError(
                    f"{self._name}: schedulers[{i}] is a {kind.__module__}.{kind.__qualname__}, no schedule of rustorch"
                )
        self.optimizer = self._checked_optimizer(schedulers[0].optimizer if optimizer is None else optimizer)
        for i, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(
                    f"{self._name} expects all schedulers to belong to the same optimizer, but schedulers[{i}] "
                    f"({scheduler._name}) has "
                    f"another {scheduler.optimizer._name} than this one's; make it with the same optimizer"
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
            If groups were added to the optimizer since, or one of the schedules raises; nothing has changed then.
        """
        self._check_groups()
        with _AllOrNothing(self):
            self._advance()

    def _advance(self) -> None:
        raise NotImplementedError

    def _initial_step(self) -> None:
        for scheduler in self._all():
            scheduler._step_count = 0  # this step is nobody's first one after the optimizer's
        super()._initial_step()

    def state_dict(self) -> dict[str, Any]:
        """The state, with those of the schedules within."""
        return super().state_dict() | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def _compare(self, state: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        wrong, values = super()._compare(state)
        inner = values.get("_schedulers", [])
        if (
            not isinstance(inner, list)
            or len(inner) != len(self._schedulers)
            or not all(isinstance(one, dict) for one in inner)
        ):
            if "_schedulers" in values:
                wrong.append(f"_schedulers: a list of {len(self._schedulers)} states needed")
            return wrong, values
        compared = [scheduler._compare(one) for scheduler, one in zip(self._schedulers, inner, strict=True)]
        wrong += [f"_schedulers[{i}]: {text}" for i, (texts, _) in enumerate(compared) for text in texts]
        return wrong, values | {"_schedulers": [found for _, found in compared]}

    def _take(self, values: dict[str, Any]) -> None:
        for scheduler, found in zip(self._schedulers, values.pop("_schedulers"), strict=True):
            scheduler._take(found)
        super()._take(values)


class SequentialLR(_Composite):
    """One schedule after the other: the next one begins, at its own epoch 0, at each milestone.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
        Of this optimizer, made before.
    milestones : list of int
        The epochs in which the second, third, ... schedule begins: one fewer than there are schedules.
    last_epoch : int
        -1; a run goes on by `load_state_dict`.

    Raises
    ------
    TypeError
        If the optimizer or a schedule is none of rustorch's.
    ValueError
        If a schedule is of another optimizer or a `ReduceLROnPlateau`, there are none, or the milestones do not fit or
        fall.

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
    ):
        self._adopt(schedulers, self._checked_optimizer(optimizer))
        whole(self._name, given := {"last_epoch": last_epoch}, -1, "last_epoch")
        named: dict[str, Any] = {"milestones": milestones}
        self._check_milestones(named, "milestones")
        self._check_groups()
        self._milestones = named["milestones"]
        self.last_epoch = given["last_epoch"] + 1
        with _AllOrNothing(self):
            self._begin()

    def _check_milestones(self, settings: dict[str, Any], name: str) -> None:
        each(lambda kind, one, option: whole(kind, one, 0, option), self._name, settings, name)
        found = settings[name]
        if len(found) != len(self._schedulers) - 1:
            raise ValueError(
                f"{self._name}: {name} are one fewer than the schedules, {len(self._schedulers) - 1}, not {len(found)}"
            )
        if found != sorted(found):
            raise ValueError(f"{self._name}: {name} are in rising order, not {found}")

    def check(self, settings: dict[str, Any]) -> None:
        self._check_milestones(settings, "_milestones")

    def _begin(self) -> None:
        """Take back what making the schedules has done, and begin with the one whose turn is at 0."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in self._schedulers:
            for one in scheduler._all():
                if not isinstance(one, _Composite):
                    one.last_epoch -= 1
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _advance(self) -> None:
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch:
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
    """Schedules that all make their step at once, each on top of what the ones before have set.

    Parameters
    ----------
    schedulers : list of LRScheduler
        Of one optimizer, made before, each of which changes the present learning rate instead of replacing it.
    optimizer : Optimizer, optional
        Default: that of the first one.

    Raises
    ------
    TypeError
        If the optimizer or a schedule is none of rustorch's.
    ValueError
        If a schedule is of another optimizer or a `ReduceLROnPlateau`, or there are none.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = ChainedScheduler([ConstantLR(optimizer, factor=0.5, total_iters=2), ExponentialLR(optimizer, gamma=0.5)])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
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
            for one in scheduler._all():
                if not isinstance(one, _Composite):
                    one.last_epoch = -1
            scheduler._initial_step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
