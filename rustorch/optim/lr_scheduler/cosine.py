"""Half a cosine from the learning rate down to its minimum, once or again and again."""

from __future__ import annotations

import math
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .scheduler import LRScheduler, _AllOrNothing
from .settings import whole

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """``lr[t] = eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2``: half a cosine, and back up after
    ``T_max``.

    Each step scales what is above ``eta_min`` by the ratio of two such heights, so that other schedules can be chained
    to it.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        The epoch in which ``eta_min`` is reached.
    eta_min : float
    last_epoch : int
        The last epoch of a run to go on with; -1 starts anew.

    Raises
    ------
    TypeError
        If the optimizer is none of rustorch's.
    ValueError
        If ``T_max`` is no whole number of at least 1, or ``eta_min`` negative, infinite or nan.

    Notes
    -----
    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without the restarts.

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

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self._set(T_max=T_max, eta_min=eta_min)
        super().__init__(optimizer, last_epoch)

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 1, "T_max")
        checks.not_negative(self._name, settings, "eta_min")

    def _height(self, epoch: float) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _next(self) -> list[float]:
        groups, t = self.optimizer.param_groups, self.last_epoch
        if self._is_initial:
            return [group["lr"] for group in groups]
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # up from the bottom, where no ratio leads
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
    """``lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2``, with ``T_cur`` epochs since the last
    restart.

    The first restart is after ``T_i = T_0`` epochs, every further one after ``T_mult`` times as many as the one before.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        Epochs to the first restart.
    T_mult : int
        By how much each cycle is longer than the one before.
    eta_min : float
    last_epoch : int
        The last epoch of a run to go on with; -1 starts anew.

    Raises
    ------
    TypeError
        If the optimizer is none of rustorch's.
    ValueError
        If ``T_0`` or ``T_mult`` is no whole number of at least 1, or ``eta_min`` negative, infinite or nan.

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
    #: the length of this cycle, and how many epochs of it have passed
    T_i: int
    T_cur: float

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1):
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
            Jump to this epoch; fractions are steps between epochs, as in ``schedule.step(epoch + i / len(batches))``.

        Raises
        ------
        ValueError
            If the epoch is negative, infinite or nan, or groups were added to the optimizer since; nothing has changed
            then.
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
            self.last_epoch = math.floor(epoch) - 1  # the next line adds 1
            self._update_lr()

    def _jump(self, epoch: float) -> None:
        """Set the cycle that an epoch falls in."""
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0 if epoch >= self.T_0 else epoch
            return
        start, self.T_i = 0, self.T_0
        while epoch - start >= self.T_i:
            start += self.T_i
            self.T_i *= self.T_mult
        self.T_cur = epoch - start
