"""ReduceLROnPlateau: the schedule that depends on a metric of the training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ...autograd import no_grad
from .. import checks
from ..optimizer import Optimizer
from .scheduler import LRScheduler, _AllOrNothing
from .settings import each, fraction_below_one, one_of, per_group, whole

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """``lr = max(lr * factor, min_lr)`` when a metric has not improved for more than ``patience`` epochs.

    In mode "min" a metric improves if it is below ``best * (1 - threshold)`` ("rel") or ``best - threshold`` ("abs").
    In mode "max" it improves if it is above ``best * (1 + threshold)`` or ``best + threshold``.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether a small metric (a loss) or a large metric (an accuracy) is better.
    factor : float
        From 0 to below 1.
    patience : int
        How many epochs without improvement do not reduce the learning rate.
    threshold : float
        How much a metric must improve.
    threshold_mode : {"rel", "abs"}
        Whether the threshold is relative to the best metric, or a difference.
    cooldown : int
        How many epochs after a reduction are not counted.
    min_lr : float, or list of float
        The smallest learning rate, for all groups or one for each.
    eps : float
        The learning rate stays if it would change by this or less.

    Attributes
    ----------
    best : float
        The best metric so far; nan is never better.
    num_bad_epochs : int
        How many epochs in a row the metric has not improved.
    cooldown_counter : int
        How many epochs of the cooldown are left.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If a setting is negative, infinite, nan or unknown, or a list does not have one value for each group.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> rates = []
    >>> for loss in [3.0, 2.0, 2.0, 2.0, 2.0, 2.0]:
    ...     schedule.step(loss)
    ...     rates.append(optimizer.lr)
    >>> rates
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    mode: str
    factor: float
    patience: int
    threshold: float
    threshold_mode: str
    cooldown: int
    eps: float
    default_min_lr: float | None
    min_lrs: list[float]
    best: float
    mode_worse: float
    cooldown_counter: int
    num_bad_epochs: int

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        groups = self._checked_optimizer(optimizer).param_groups
        limits = {"min_lr": per_group(self._name, "min_lr", min_lr, len(groups))}
        each(checks.not_negative, self._name, limits, "min_lr")
        worst = -math.inf if mode == "max" else math.inf
        self._set(
            mode=mode,
            factor=factor,
            patience=patience,
            threshold=threshold,
            threshold_mode=threshold_mode,
            cooldown=cooldown,
            eps=eps,
            default_min_lr=None if isinstance(min_lr, (list, tuple)) else limits["min_lr"][0],
            min_lrs=limits["min_lr"],
            best=worst,
            mode_worse=worst,
            cooldown_counter=0,
            num_bad_epochs=0,
        )
        self.optimizer = optimizer
        self.last_epoch = 0
        self._last_lr = [float(group["lr"]) for group in groups]

    def check(self, settings: dict[str, Any]) -> None:
        one_of(self._name, settings, "mode", ("min", "max"))
        one_of(self._name, settings, "threshold_mode", ("rel", "abs"))
        fraction_below_one(self._name, settings, "factor")
        whole(self._name, settings, 0, "patience", "cooldown", "cooldown_counter", "num_bad_epochs")
        checks.not_negative(self._name, settings, "threshold", "eps")
        each(checks.not_negative, self._name, settings, "min_lrs")
        if settings["default_min_lr"] is not None:
            checks.not_negative(self._name, settings, "default_min_lr")
        if not isinstance(settings["best"], (int, float)):
            raise ValueError(f"{self._name}: best is a number, not {settings['best']!r}")
        settings["mode_worse"] = -math.inf if settings["mode"] == "max" else math.inf

    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction is so recent that bad epochs are not counted."""
        return self.cooldown_counter > 0

    def _is_better(self, metric: float, best: float) -> bool:
        """Whether a metric is better than the best one by more than the threshold."""
        sign = 1 if self.mode == "max" else -1
        limit = best * (1 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return metric > limit if self.mode == "max" else metric < limit

    def step(self, metrics: Any, epoch: float | None = None) -> None:  # type: ignore[override]
        """Set the next learning rates from the metric of an epoch; call it after validation.

        Parameters
        ----------
        metrics : float, or array or Variable of one element
            The metric of the epoch.
        epoch : float, optional
            The number of the epoch. PyTorch discourages it, and a warning says so.

        Raises
        ------
        TypeError
            If the metric is not a number.
        ValueError
            If groups were added to the optimizer and ``min_lr`` is a list. Nothing changes then.
        """
        try:
            with no_grad():  # a loss that requires grad can then become a number
                current = float(metrics)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{self._name}.step takes the metric of an epoch, one number, not {metrics!r}") from error
        if epoch is not None:
            epoch = self._checked_epoch(epoch)
            warnings.warn(
                "The epoch parameter in `scheduler.step()` is discouraged: call `scheduler.step(metric)` once after "
                "every epoch instead.",
                UserWarning,
                stacklevel=2,
            )
        self._check_groups()
        with _AllOrNothing(self):
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch  # type: ignore[assignment]
            if self._is_better(current, self.best):
                self.best = current
                self.num_bad_epochs = 0
            else:
                self.num_bad_epochs += 1
            if self.in_cooldown:
                self.cooldown_counter -= 1
                self.num_bad_epochs = 0
            if self.num_bad_epochs > self.patience:
                self._reduce()
                self.cooldown_counter = self.cooldown
                self.num_bad_epochs = 0
            self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _reduce(self) -> None:
        """Reduce the learning rate of every group."""
        for group, limit in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, limit)
            if old - new > self.eps:
                group["lr"] = new

    def _check_groups(self) -> None:
        groups = len(self.optimizer.param_groups)
        if len(self.min_lrs) != groups:
            if self.default_min_lr is None:
                raise ValueError(
                    f"{self._name} has min_lr for {len(self.min_lrs)} groups of parameters, and the optimizer has "
                    f"{groups} now; append to its min_lrs, or make a new schedule after add_param_group"
                )
            self.min_lrs = [self.default_min_lr] * groups
