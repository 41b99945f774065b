"""OneCycleLR: one rise and one fall of the learning rate over the whole training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .momentum import MomentumCycle
from .settings import each, flag, one_of, per_group, positive, whole

__all__ = ["OneCycleLR"]

Numbers = float | Sequence[float]


class OneCycleLR(MomentumCycle):
    """One cycle: the learning rate rises to ``max_lr`` and falls to a very small value, in a fixed number of steps.

    It rises from ``max_lr / div_factor`` to ``max_lr`` in the first ``pct_start`` of all steps, and then falls to
    ``max_lr / div_factor / final_div_factor``. With ``three_phase`` it first falls to its start in as many steps as it
    rose, and to the end in the remaining steps. Momentum moves in the opposite direction. Call ``step`` after every
    batch.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float, or list of float
        The largest learning rate, for all groups or one for each.
    total_steps : int, optional
        The number of steps. Default: ``epochs * steps_per_epoch``.
    epochs, steps_per_epoch : int, optional
        Both factors of the number of steps.
    pct_start : float
        The part of the steps in which the learning rate rises, from 0 to 1.
    anneal_strategy : {"cos", "linear"}
        Half cosines or straight lines.
    cycle_momentum : bool
        Whether to change momentum, the option ``momentum`` or the first of ``betas``.
    base_momentum, max_momentum : float, or list of float
        Lower and upper bound of the momentum, for all groups or one for each.
    div_factor : float
        ``max_lr`` divided by the first learning rate.
    final_div_factor : float
        The first learning rate divided by the last one.
    three_phase : bool
        Whether the learning rate falls in two phases.
    last_epoch : int
        The last step of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If a setting is negative, infinite, nan or unknown, the number of steps is missing, a list does not have one
        value for each group, or the optimizer has no momentum to change. A step after the last one raises it too.

    Notes
    -----
    Source: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    2018, where the cycle has three phases.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=0.1, momentum=0.9)
    >>> schedule = rustorch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=6, pct_start=0.5)
    >>> rates = []
    >>> for _ in range(6):
    ...     rates.append(round(optimizer.lr, 3))
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.04, 0.52, 1.0, 0.75, 0.25, 0.0]
    """

    total_steps: int
    _schedule_phases: list[dict[str, Any]]
    _anneal_func_type: str

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Numbers,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.85,
        max_momentum: Numbers = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        groups = len(self._checked_optimizer(optimizer).param_groups)
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError(f"{self._name}: give total_steps, or both epochs and steps_per_epoch")
        settings: dict[str, Any] = (
            {"total_steps": total_steps}
            if total_steps is not None
            else {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        )
        whole(self._name, settings, 1, *settings)
        settings |= {
            "pct_start": pct_start,
            "div_factor": div_factor,
            "final_div_factor": final_div_factor,
            "three_phase": three_phase,
        }
        checks.fraction(self._name, settings, "pct_start")
        positive(self._name, settings, "div_factor", "final_div_factor")
        flag(self._name, settings, "three_phase")
        one_of(self._name, {"anneal_strategy": anneal_strategy}, "anneal_strategy", ("cos", "linear"))
        settings["max_lr"] = per_group(self._name, "max_lr", max_lr, groups)
        each(checks.not_negative, self._name, settings, "max_lr")
        momentum = self._momentum_settings(optimizer, cycle_momentum, base_momentum, max_momentum)
        self._start = settings | {
            name: momentum.pop(name) for name in ("base_momentums", "max_momentums") if name in momentum
        }
        total = settings["total_steps"] if total_steps is not None else settings["epochs"] * settings["steps_per_epoch"]
        self._set(
            total_steps=total,
            _schedule_phases=_phases(total, settings["pct_start"], three_phase),
            _anneal_func_type=anneal_strategy,
            **momentum,
        )
        super().__init__(optimizer, last_epoch)
        del self._start  # the groups contain it now

    def check(self, settings: dict[str, Any]) -> None:
        whole(self._name, settings, 1, "total_steps")
        one_of(self._name, settings, "_anneal_func_type", ("cos", "linear"))
        phases = settings["_schedule_phases"]
        if not phases or not all(isinstance(phase, dict) and _is_phase(phase) for phase in phases):
            raise ValueError(f"{self._name}: _schedule_phases is a list of phases, not {phases!r}")
        if "optimizer" in vars(self):
            self._check_momentum(settings)

    def _prepare(self, resumed: bool) -> None:
        if not resumed:
            start = self._start
            for group, high in zip(self.optimizer.param_groups, start["max_lr"], strict=True):
                first = high / start["div_factor"]
                group.update(initial_lr=first, max_lr=high, min_lr=first / start["final_div_factor"])
            if self.cycle_momentum:
                self._begin_momentum(start["base_momentums"], start["max_momentums"])

    def _left_in_groups(self) -> tuple[str, ...]:
        return ("initial_lr", "max_lr", "min_lr") + ("base_momentum", "max_momentum") * self.cycle_momentum

    def _annealed(self, quantity: str) -> list[float]:
        """The learning rate ("lr") or the momentum ("momentum") of each group in ``last_epoch``."""
        start = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if self.last_epoch <= end or phase is self._schedule_phases[-1]:
                break
            start = end
        # a phase without a length is at its end
        share = (self.last_epoch - start) / (end - start) if end != start else 1.0
        ends = [
            (group[phase[f"start_{quantity}"]], group[phase[f"end_{quantity}"]])
            for group in self.optimizer.param_groups
        ]
        if self._anneal_func_type == "linear":
            return [(last - first) * share + first for first, last in ends]
        height = math.cos(math.pi * share) + 1
        return [last + (first - last) / 2 * height for first, last in ends]

    def _next(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"{self._name}: Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}; make it with as many as the training has"
            )
        return self._annealed("lr")

    def _momenta(self) -> list[float]:
        return self._annealed("momentum")


def _phases(total: int, share: float, three: bool) -> list[dict[str, Any]]:
    """The last step of each phase, and the entries of the groups at which it starts and ends."""

    def phase(end: float, lrs: tuple[str, str], momenta: tuple[str, str]) -> dict[str, Any]:
        return {
            "end_step": end,
            "start_lr": lrs[0],
            "end_lr": lrs[1],
            "start_momentum": momenta[0],
            "end_momentum": momenta[1],
        }

    low, high = "base_momentum", "max_momentum"
    up = phase(float(share * total) - 1, ("initial_lr", "max_lr"), (high, low))
    if not three:
        return [up, phase(total - 1, ("max_lr", "min_lr"), (low, high))]
    down = phase(float(2 * share * total) - 2, ("max_lr", "initial_lr"), (low, high))
    return [up, down, phase(total - 1, ("initial_lr", "min_lr"), (high, high))]


def _is_phase(phase: dict[str, Any]) -> bool:
    """Whether a phase of a state has all its entries."""
    lrs, momenta = ("initial_lr", "max_lr", "min_lr"), ("base_momentum", "max_momentum")
    known = {"start_lr": lrs, "end_lr": lrs, "start_momentum": momenta, "end_momentum": momenta}
    return checks.number(phase.get("end_step")) and all(phase.get(key) in names for key, names in known.items())
