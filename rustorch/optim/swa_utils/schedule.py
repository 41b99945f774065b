"""SWALR: the schedule of the learning rate for averaged weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import checks
from ..lr_scheduler import LRScheduler
from ..lr_scheduler.settings import each, one_of, per_group, whole
from ..optimizer import Optimizer

__all__ = ["SWALR"]


class SWALR(LRScheduler):
    """Move the current learning rate to ``swa_lr`` in ``anneal_epochs`` steps, and keep it there.

    ``lr[t] = (1 - a) * lr[0] + a * swa_lr``, with ``a = t / anneal_epochs`` ("linear") or ``(1 - cos(pi * t /
    anneal_epochs)) / 2`` ("cos"), at most 1.

    Parameters
    ----------
    optimizer : Optimizer
    swa_lr : float, or list of float
        The last learning rate, for all groups or one for each.
    anneal_epochs : int
        The number of steps. 0 sets ``swa_lr`` at once.
    anneal_strategy : {"cos", "linear"}
        Half a cosine or a straight line.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If a setting is negative, infinite, nan or unknown, or a list does not have one value for each group.

    Notes
    -----
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [1.0, 0.75, 0.5, 0.5]
    """

    anneal_epochs: int
    _anneal_strategy: str

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        groups = len(self._checked_optimizer(optimizer).param_groups)
        self._rates = {"swa_lr": per_group(self._name, "swa_lr", swa_lr, groups)}
        each(checks.not_negative, self._name, self._rates, "swa_lr")
        one_of(self._name, {"anneal_strategy": anneal_strategy}, "anneal_strategy", ("cos", "linear"))
        self._set(anneal_epochs=anneal_epochs, _anneal_strategy=anneal_strategy)
        super().__init__(optimizer, last_epoch)
        del self._rates  # the groups contain them now

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 0, "anneal_epochs")
        one_of(self._name, settings, "_anneal_strategy", ("cos", "linear"))

    def _prepare(self, resumed: bool) -> None:
        for group, rate in zip(self.optimizer.param_groups, self._rates["swa_lr"], strict=True):
            group["swa_lr"] = rate

    def _share(self, step: int) -> float:
        """The part of the way to ``swa_lr`` that is done after a step, from 0 to 1."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def _next(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate, end = group["lr"], group["swa_lr"]
            # the learning rate at the start, of which the current one is a mixture
            start = end if before == 1 else (rate - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
