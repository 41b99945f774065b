"""Cycles between two learning rates, and of momentum against them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .scheduler import LRScheduler
from .settings import each, flag, fraction_below_one, one_of, per_group, positive, whole

__all__ = ["CyclicLR", "OneCycleLR"]

Numbers = float | Sequence[float]
_MODES = ("triangular", "triangular2", "exp_range")


class _WithMomentum(LRScheduler):
    """Momentum (or the first beta) that goes the other way than the learning rate."""

    cycle_momentum: bool
    use_beta1: bool

    def _momenta(self) -> list[float]:
        raise NotImplementedError

    def _momentum_settings(
        self, optimizer: Any, cycle_momentum: bool, base_momentum: Any, max_momentum: Any
    ) -> dict[str, Any]:
        """Both bounds as a list for each group, and whether it is momentum or the first beta; nothing if there is no
        such cycle.
        """
        flag(self._name, settings := {"cycle_momentum": cycle_momentum}, "cycle_momentum")
        if not cycle_momentum:
            return settings
        groups = self._checked_optimizer(optimizer).param_groups
        if not (all("betas" in group for group in groups) or all("momentum" in group for group in groups)):
            raise ValueError(
                f"{self._name}: optimizer must support momentum or beta1 with `cycle_momentum` option enabled, and "
                f"{type(optimizer).__name__} has neither; pass cycle_momentum=False"
            )
        settings["use_beta1"] = "betas" in groups[0]
        bounds = {
            name: per_group(self._name, name, value, len(groups))
            for name, value in (("base_momentum", base_momentum), ("max_momentum", max_momentum))
        }
        each(fraction_below_one, self._name, bounds, *bounds)
        self._check_order(bounds, "base_momentum", "max_momentum")
        return settings | {"base_momentums": bounds["base_momentum"], "max_momentums": bounds["max_momentum"]}

    def _check_order(self, settings: dict[str, Any], low: str, high: str) -> None:
        for a, b in zip(settings[low], settings[high], strict=True):
            if a > b:
                raise ValueError(f"{self._name}: {low} is at most {high}, and {a} is above {b}")

    def _check_momentum(self, settings: dict[str, Any]) -> None:
        """Of a state that is loaded."""
        flag(self._name, settings, "cycle_momentum")
        if settings["cycle_momentum"]:
            flag(self._name, settings, "use_beta1")
            if settings["use_beta1"] and not all("betas" in group for group in self.optimizer.param_groups):
                raise ValueError("use_beta1: True given, and the optimizer has no betas")
            if not settings["use_beta1"] and not all("momentum" in group for group in self.optimizer.param_groups):
                raise ValueError("use_beta1: False given, and the optimizer has no momentum")

    def _begin_momentum(self, base_momentums: list[float], max_momentums: list[float]) -> None:
        """Write both bounds into the groups, and set the upper one."""
        for group, low, high in zip(self.optimizer.param_groups, base_momentums, max_momentums, strict=True):
            group.update(base_momentum=low, max_momentum=high)
        self._write_momenta(max_momentums)

    def _write_momenta(self, momenta: list[float]) -> None:
        for group, momentum in zip(self.optimizer.param_groups, momenta, strict=True):
            if self.use_beta1:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _write(self, lrs: list[float]) -> None:
        super()._write(lrs)
        if self.cycle_momentum:
            self._write_momenta(self._momenta())


class CyclicLR(_WithMomentum):
    """Up and down between two learning rates: ``lr = base_lr + (max_lr - base_lr) * height * scale``.

    ``height`` goes from 0 to 1 in ``step_size_up`` steps and back in ``step_size_down``. ``scale`` is 1 ("triangular"),
    halves with every cycle ("triangular2"), is ``gamma**t`` ("exp_range"), or what ``scale_fn`` returns. Momentum goes
    the other way: ``max_momentum - (max_momentum - base_momentum) * height * scale``.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float, or list of float
        Lower and upper bound, for all groups or one for each.
    step_size_up : int
    step_size_down : int, optional
        Default: as ``step_size_up``.
    mode : {"triangular", "triangular2", "exp_range"}
        Means nothing where there is a ``scale_fn``.
    gamma : float
    scale_fn : callable, optional
        The scale, from the number of the cycle (from 1), or of the step (from 0).
    scale_mode : {"cycle", "iterations"}
        Which of these numbers ``scale_fn`` gets.
    cycle_momentum : bool
        Whether momentum goes the other way: ``momentum``, or the first of ``betas``.
    base_momentum, max_momentum : float, or list of float
        Its bounds.
    last_epoch : int
        The last step of a run to go on with; -1 starts anew.

    Raises
    ------
    TypeError
        If the optimizer is none of rustorch's, or ``scale_fn`` cannot be called.
    ValueError
        If a setting is negative, infinite, nan or unknown, a lower bound is above its upper one, a list has not a value
        for each group, or the optimizer has no momentum to cycle.

    Notes
    -----
    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017. ``scale_fn`` is not in the
    ``state_dict``; of a callable object it has the attributes.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=0.1, momentum=0.9)
    >>> schedule = rustorch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2, max_momentum=0.9)
    >>> rates = []
    >>> for _ in range(6):
    ...     rates.append(optimizer.lr)
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """

    max_lrs: list[float]
    base_momentums: list[float]
    max_momentums: list[float]
    total_size: float
    step_ratio: float
    mode: str
    gamma: float
    scale_mode: str
    _scale_fn_custom: Callable[[float], float] | None
    _functions = ("_scale_fn_custom",)

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Numbers,
        max_lr: Numbers,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.8,
        max_momentum: Numbers = 0.9,
        last_epoch: int = -1,
    ):
        groups = len(self._checked_optimizer(optimizer).param_groups)
        bounds = {
            name: per_group(self._name, name, value, groups)
            for name, value in (("base_lr", base_lr), ("max_lr", max_lr))
        }
        each(checks.not_negative, self._name, bounds, *bounds)
        self._check_order(bounds, "base_lr", "max_lr")
        sizes = {
            "step_size_up": step_size_up,
            "step_size_down": step_size_up if step_size_down is None else step_size_down,
        }
        positive(self._name, sizes, *sizes)
        up, down = map(float, sizes.values())
        if scale_fn is not None and not callable(scale_fn):
            raise TypeError(f"{self._name}: scale_fn is a function of a number, not {scale_fn!r}")
        if scale_fn is None:
            one_of(self._name, {"mode": mode}, "mode", _MODES)
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self._scale_fn_custom = scale_fn
        self._set(
            max_lrs=bounds["max_lr"],
            total_size=up + down,
            step_ratio=up / (up + down),
            mode=mode,
            gamma=gamma,
            scale_mode=scale_mode,
            **self._momentum_settings(optimizer, cycle_momentum, base_momentum, max_momentum),
        )
        # what groups bring along from an earlier schedule counts in the first step alone, as in PyTorch
        self.base_lrs = bounds["base_lr"]
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bounds["base_lr"]

    def check(self, settings: dict[str, Any]) -> None:
        each(checks.not_negative, self._name, settings, "max_lrs")
        positive(self._name, settings, "total_size", "step_ratio")
        fraction_below_one(self._name, settings, "step_ratio")
        checks.not_negative(self._name, settings, "gamma")
        one_of(self._name, settings, "scale_mode", ("cycle", "iterations"))
        if self._scale_fn_custom is None:
            one_of(self._name, settings, "mode", _MODES)
        if settings["cycle_momentum"] and "optimizer" in vars(self):
            self._check_momentum(settings)
            each(fraction_below_one, self._name, settings, "base_momentums", "max_momentums")

    def _prepare(self, resumed: bool) -> None:
        if not resumed:
            for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
                group["lr"] = lr
            if self.cycle_momentum:
                self._begin_momentum(self.base_momentums, self.max_momentums)

    def scale_fn(self, x: float) -> float:
        """The scale of a cycle, from its number, or of a step, from its number."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return self.gamma**x
        return 1.0 if self.mode == "triangular" else 1 / 2.0 ** (x - 1)

    def _height(self) -> tuple[float, float]:
        """From 0 at the lower bounds to 1 at the upper ones; and the scale."""
        passed = self.last_epoch / self.total_size
        cycle = math.floor(1 + passed)
        x = 1.0 + passed - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        return height, self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)

    def _next(self) -> list[float]:
        height, scale = self._height()
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _momenta(self) -> list[float]:
        height, scale = self._height()
        return [
            high - (high - low) * height * scale
            for low, high in zip(self.base_momentums, self.max_momentums, strict=True)
        ]


class OneCycleLR(_WithMomentum):
    """Up to one high learning rate and down to a tiny one, in a number of steps that is known before; momentum goes the
    other way.

    From ``max_lr / div_factor`` to ``max_lr`` in the first ``pct_start`` of all steps, then to ``max_lr / div_factor /
    final_div_factor``; with ``three_phase`` back to the start in as many steps as up, and to the end in the steps that
    are left. Call ``step`` after every batch.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float, or list of float
        For all groups, or one for each.
    total_steps : int, optional
        Default: ``epochs * steps_per_epoch``.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        The share of the steps in which the learning rate rises.
    anneal_strategy : {"cos", "linear"}
        Half cosines or straight lines.
    cycle_momentum : bool
        Whether momentum goes the other way: ``momentum``, or the first of ``betas``.
    base_momentum, max_momentum : float, or list of float
        Its bounds.
    div_factor, final_div_factor : float
    three_phase : bool
    last_epoch : int
        The last step of a run to go on with; -1 starts anew.

    Raises
    ------
    TypeError
        If the optimizer is none of rustorch's.
    ValueError
        If a setting is negative, infinite, nan or unknown, the number of steps is not given, a list has not a value for
        each group, the optimizer has no momentum to cycle; and by a step after the last one.

    Notes
    -----
    Source: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    2018, which has three phases.

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
    ):
        groups = len(self._checked_optimizer(optimizer).param_groups)
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError(f"{self._name}: give total_steps, or both epochs and steps_per_epoch")
        given: dict[str, Any] = (
            {"total_steps": total_steps}
            if total_steps is not None
            else {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        )
        whole(self._name, given, 1, *given)
        given |= {
            "pct_start": pct_start,
            "div_factor": div_factor,
            "final_div_factor": final_div_factor,
            "three_phase": three_phase,
        }
        checks.fraction(self._name, given, "pct_start")
        positive(self._name, given, "div_factor", "final_div_factor")
        flag(self._name, given, "three_phase")
        one_of(self._name, {"anneal_strategy": anneal_strategy}, "anneal_strategy", ("cos", "linear"))
        given["max_lr"] = per_group(self._name, "max_lr", max_lr, groups)
        each(checks.not_negative, self._name, given, "max_lr")
        momentum = self._momentum_settings(optimizer, cycle_momentum, base_momentum, max_momentum)
        self._start = given | {
            name: momentum.pop(name) for name in ("base_momentums", "max_momentums") if name in momentum
        }
        total = given["total_steps"] if total_steps is not None else given["epochs"] * given["steps_per_epoch"]
        self._set(
            total_steps=total,
            _schedule_phases=_phases(total, given["pct_start"], three_phase),
            _anneal_func_type=anneal_strategy,
            **momentum,
        )
        super().__init__(optimizer, last_epoch)
        del self._start  # it is in the groups now

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

    def _annealed(self, what: str) -> list[float]:
        """Learning rate or momentum of each group at ``last_epoch``."""
        start = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if self.last_epoch <= end or phase is self._schedule_phases[-1]:
                break
            start = end
        share = (
            (self.last_epoch - start) / (end - start) if end != start else 1.0
        )  # a phase without a length is at its end
        ends = [(group[phase[f"start_{what}"]], group[phase[f"end_{what}"]]) for group in self.optimizer.param_groups]
        if self._anneal_func_type == "linear":
            return [(last - first) * share + first for first, last in ends]
        height = math.cos(math.pi * share) + 1
        return [last + (first - last) / 2 * height for first, last in ends]

    def _next(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"{self._name}: Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}; make it "
                f"with as many as the training has"
            )
        return self._annealed("lr")

    def _momenta(self) -> list[float]:
        return self._annealed("momentum")


def _phases(total: int, share: float, three: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and which of the groups' entries it leads from and to."""

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


def _is_phase(given: dict[str, Any]) -> bool:
    """Whether a state's phase is one that can be run."""
    lrs, momenta = ("initial_lr", "max_lr", "min_lr"), ("base_momentum", "max_momentum")
    known = {"start_lr": lrs, "end_lr": lrs, "start_momentum": momenta, "end_momentum": momenta}
    return checks.number(given.get("end_step")) and all(given.get(key) in names for key, names in known.items())
