"""Schedules that multiply the current learning rate by a factor in each epoch, such as StepLR and ExponentialLR.

They therefore combine with other changes of the learning rate.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .scheduler import LRScheduler
from .settings import positive, whole

__all__ = ["ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class _Decay(LRScheduler):
    """The base of all: a subclass defines the factor of an epoch, and the product of all factors up to it."""

    def _factor(self, epoch: int) -> float:
        """What the learning rate is multiplied by in an epoch."""
        raise NotImplementedError

    def _product(self, epoch: int) -> float:
        """The learning rate in an epoch divided by ``base_lr``."""
        raise NotImplementedError

    def _next(self) -> list[float]:
        factor = self._factor(self.last_epoch)
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[float]:
        product = self._product(self.last_epoch)
        return [base * product for base in self.base_lrs]


class StepLR(_Decay):
    """``lr[t] = base_lr * gamma**floor(t / step_size)``: multiply by gamma every ``step_size`` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
        How many epochs lie between two changes.
    gamma : float
        The factor.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If ``step_size`` is not a whole number of at least 1, or gamma is negative, infinite or nan.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    step_size: int
    gamma: float

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self._set(step_size=step_size, gamma=gamma)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 1, "step_size")
        checks.not_negative(self._name, settings, "gamma")

    def _factor(self, epoch: int) -> float:
        return self.gamma if epoch and epoch % self.step_size == 0 else 1.0

    def _product(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(_Decay):
    """``lr[t] = base_lr * gamma**(number of milestones up to t)``: multiply by gamma at every milestone.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : iterable of int
        Epochs. A milestone that occurs twice counts twice.
    gamma : float
        The factor.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If a milestone is negative or not a whole number, or gamma is negative, infinite or nan.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 3], gamma=0.5)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    #: Epoch -> how often it occurs.
    milestones: Counter[int]
    gamma: float

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self._set(milestones=milestones, gamma=gamma)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        epochs = settings["milestones"]
        if isinstance(epochs, str) or not isinstance(epochs, Iterable):
            raise ValueError(f"{self._name}: milestones is a list of epochs, not {epochs!r}")
        counts: Counter[int] = Counter()
        # a state of PyTorch has a dict of counts, whose keys become strings in JSON
        for epoch, count in epochs.items() if isinstance(epochs, Mapping) else ((epoch, 1) for epoch in epochs):
            value = int(epoch) if isinstance(epoch, str) and epoch.isdecimal() else epoch
            milestone = {"milestones": value, "count of a milestone": count}
            whole(self._name, milestone, 0, "milestones")
            whole(self._name, milestone, 1, "count of a milestone")
            counts[milestone["milestones"]] += milestone["count of a milestone"]
        settings["milestones"] = counts
        checks.not_negative(self._name, settings, "gamma")

    def _factor(self, epoch: int) -> float:
        return self.gamma ** self.milestones[epoch] if epoch in self.milestones else 1.0

    def _product(self, epoch: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch)

    def state_dict(self) -> dict[str, Any]:
        """The state, in which the milestones are a list."""
        return super().state_dict() | {"milestones": sorted(self.milestones.elements())}


class ConstantLR(_Decay):
    """``lr[t] = base_lr * factor`` for ``t < total_iters``, then ``base_lr``.

    Parameters
    ----------
    optimizer : Optimizer
    factor : float
        From 0 to 1.
    total_iters : int
        How many epochs the factor lasts.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If the factor is not from 0 to 1, or ``total_iters`` is not a whole number of at least 1.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 0.5, 1.0, 1.0]
    """

    factor: float
    total_iters: int

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self._set(factor=factor, total_iters=total_iters)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        checks.fraction(self._name, settings, "factor")
        whole(self._name, settings, 1, "total_iters")

    def _factor(self, epoch: int) -> float:
        if epoch == 0:
            return self.factor
        return 1.0 / self.factor if epoch == self.total_iters else 1.0

    def _product(self, epoch: int) -> float:
        return self.factor + (epoch >= self.total_iters) * (1 - self.factor)

    def _next(self) -> list[float]:
        # no factor changes a learning rate of 0
        return list(self.base_lrs) if self.factor == 0 and self.last_epoch == self.total_iters else super()._next()


class LinearLR(_Decay):
    """``lr[t] = base_lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)``.

    Parameters
    ----------
    optimizer : Optimizer
    start_factor : float
        Above 0, at most 1.
    end_factor : float
        From 0 to 1.
    total_iters : int
        The epoch in which the end is reached.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If a factor is out of range, or ``total_iters`` is not a whole number of at least 1.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 1.0]
    """

    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self._set(start_factor=start_factor, end_factor=end_factor, total_iters=total_iters)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        checks.fraction(self._name, settings, "start_factor", "end_factor")
        positive(self._name, settings, "start_factor")
        whole(self._name, settings, 1, "total_iters")

    def _factor(self, epoch: int) -> float:
        if epoch == 0:
            return self.start_factor
        if self._is_initial or epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (epoch - 1) * rise)

    def _product(self, epoch: int) -> float:
        return (
            self.start_factor + (self.end_factor - self.start_factor) * min(self.total_iters, epoch) / self.total_iters
        )


class ExponentialLR(_Decay):
    """``lr[t] = base_lr * gamma**t``.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
        The factor.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If gamma is negative, infinite or nan.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> optimizer.lr
    0.125
    """

    gamma: float

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self._set(gamma=gamma)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        checks.not_negative(self._name, settings, "gamma")

    def _factor(self, epoch: int) -> float:
        return 1.0 if self._is_initial else self.gamma

    def _product(self, epoch: int) -> float:
        product: float = self.gamma**epoch
        return product


class PolynomialLR(_Decay):
    """``lr[t] = base_lr * (1 - min(t, total_iters) / total_iters)**power``.

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int
        The epoch in which 0 is reached.
    power : float
        The exponent.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If ``total_iters`` is not a whole number of at least 1, or the power is negative, infinite or nan.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2.0)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> optimizer.lr
    0.25
    """

    total_iters: int
    power: float

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self._set(total_iters=total_iters, power=power)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 1, "total_iters")
        checks.not_negative(self._name, settings, "power")

    def _factor(self, epoch: int) -> float:
        if self._is_initial or epoch > self.total_iters:
            return 1.0
        factor: float = ((1.0 - epoch / self.total_iters) / (1.0 - (epoch - 1) / self.total_iters)) ** self.power
        return factor

    def _product(self, epoch: int) -> float:
        product: float = (1.0 - min(self.total_iters, epoch) / self.total_iters) ** self.power
        return product
