"""CyclicLR: cycles between two learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .momentum import MomentumCycle
from .settings import each, fraction_below_one, one_of, per_group, positive

__all__ = ["CyclicLR"]

Numbers = float | Sequence[float]
_MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(MomentumCycle):
    """Cycles between two learning rates: ``lr = base_lr + (max_lr - base_lr) * height * scale``.

    ``height`` rises from 0 to 1 in ``step_size_up`` steps and falls to 0 in ``step_size_down`` steps. ``scale`` is 1
    ("triangular"), is halved after every cycle ("triangular2"), is ``gamma**t`` ("exp_range"), or is the result of
    ``scale_fn``. Momentum moves in the opposite direction: ``max_momentum - (max_momentum - base_momentum) * height *
    scale``.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float, or list of float
        Lower and upper bound, for all groups or one for each.
    step_size_up : int
        How many steps the learning rate rises in a cycle.
    step_size_down : int, optional
        How many steps it falls. Default: ``step_size_up``.
    mode : {"triangular", "triangular2", "exp_range"}
        The scale. It has no effect with a ``scale_fn``.
    gamma : float
        The base of the scale in mode "exp_range".
    scale_fn : callable, optional
        Returns the scale from the number of the cycle, which starts from 1, or of the step, which starts from 0.
    scale_mode : {"cycle", "iterations"}
        Whether ``scale_fn`` is called with the number of the cycle or of the step.
    cycle_momentum : bool
        Whether to change momentum, the option ``momentum`` or the first of ``betas``.
    base_momentum, max_momentum : float, or list of float
        Lower and upper bound of the momentum, for all groups or one for each.
    last_epoch : int
        The last step of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch, or ``scale_fn`` cannot be called.
    ValueError
        If a setting is negative, infinite, nan or unknown, a lower bound is above its upper bound, a list does not have
        one value for each group, or the optimizer has no momentum to change.

    Notes
    -----
    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3. The ``state_dict`` does not
    contain ``scale_fn``; of a callable object it contains the attributes.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=0.1, momentum=0.9)
    >>> schedule = rustorch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
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
    ) -> None:
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
        # As in PyTorch, the "initial_lr" of an earlier schedule has an effect on the first step alone.
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
        """The scale, from the number of a cycle or of a step.

        Parameters
        ----------
        x : float
            The number of the cycle, from 1, or of the step, from 0; see ``scale_mode``.

        Returns
        -------
        float
        """
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            scale: float = self.gamma**x
            return scale
        return 1.0 if self.mode == "triangular" else 1 / 2.0 ** (x - 1)

    def _height(self) -> tuple[float, float]:
        """The height, from 0 at the lower bounds to 1 at the upper bounds, and the scale."""
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
