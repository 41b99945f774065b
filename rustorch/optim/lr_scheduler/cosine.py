"""Schedules along half a cosine: CosineAnnealingLR and CosineAnnealingWarmRestarts."""

from __future__ import annotations

import math
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .scheduler import LRScheduler, _AllOrNothing
from .settings import whole

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """``lr[t] = eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2``.

    The learning rate falls to ``eta_min`` along half a cosine in ``T_max`` epochs, and rises again after them. Each
    step multiplies ``lr - eta_min`` by a factor, so other schedules can be chained to this one.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        The epoch in which ``eta_min`` is reached.
    eta_min : float
        The smallest learning rate.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If ``T_max`` is not a whole number of at least 1, or ``eta_min`` is negative, infinite or nan.

    Notes
    -----
    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5, without the
    restarts.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self._set(T_max=T_max, eta_min=eta_min)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 1, "T_max")
        checks.not_negative(self._name, settings, "eta_min")

    def _height(self, epoch: float) -> float:
        """``1 + cos(pi * epoch / T_max)``: from 2 at the base learning rate to 0 at ``eta_min``."""
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _next(self) -> list[float]:
        groups, t = self.optimizer.param_groups, self.last_epoch
        if self._is_initial:
            return [group["lr"] for group in groups]
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # after eta_min, where a factor would divide by 0
            first = 1 - math.cos(math.pi / self.T_max)
            return [
                group["lr"] + (base - self.eta_min) * first / 2
                for group, base in zip(groups, self.base_lrs, strict=True)
            ]
        ratio = self._height(t) / self._height(t - 1)
        return [ratio * (group["lr"] - self.eta_min) + self.eta_min for group in groups]

    def _get_closed_form_lr(self) -> list[float]:
        return [self.eta_min + (base - self.eta_min) * self._height(self.last_epoch) / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """``lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2``.

    ``T_cur`` epochs have passed since the last restart. The first restart is after ``T_i = T_0`` epochs. After each
    restart, ``T_i`` is multiplied by ``T_mult``.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        Epochs to the first restart.
    T_mult : int
        The length of each cycle divided by that of the cycle before.
    eta_min : float
        The smallest learning rate.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If ``T_0`` or ``T_mult`` is not a whole number of at least 1, or ``eta_min`` is negative, infinite or nan.

    Notes
    -----
    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    T_0: int
    T_mult: int
    eta_min: float
    #: The length of the current cycle.
    T_i: int
    #: How many epochs of the current cycle have passed.
    T_cur: float

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self._set(T_0=T_0, T_i=T_0, T_mult=T_mult, eta_min=eta_min, T_cur=last_epoch)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 1, "T_0", "T_i", "T_mult")
        checks.not_negative(self._name, settings, "eta_min")
        checks.finite(self._name, settings, "T_cur")

    def _next(self) -> list[float]:
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Set the next learning rates; call it after the optimizer's step.

        Parameters
        ----------
        epoch : float, optional
            Jump to this epoch. It may be a fraction, for a step after every batch: ``schedule.step(epoch + i /
            len(batches))``.

        Raises
        ------
        ValueError
            If the epoch is negative, infinite or nan, or groups were added to the optimizer after the schedule was
            made. Nothing changes then.
        """
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is not None:
            epoch = self._checked_epoch(epoch)
        self._check_groups()
        with _AllOrNothing(self):
            if epoch is None:
                epoch = self.last_epoch + 1
                self.T_cur += 1
                if self.T_cur >= self.T_i:
                    self.T_cur %= self.T_i
                    self.T_i *= self.T_mult
            else:
                self._jump(epoch)
            self.last_epoch = math.floor(epoch) - 1  # _update_lr adds 1
            self._update_lr()

    def _jump(self, epoch: float) -> None:
        """Set ``T_cur`` and ``T_i`` for an epoch."""
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0 if epoch >= self.T_0 else epoch
            return
        start, self.T_i = 0, self.T_0
        while epoch - start >= self.T_i:
            start += self.T_i
            self.T_i *= self.T_mult
        self.T_cur = epoch - start
