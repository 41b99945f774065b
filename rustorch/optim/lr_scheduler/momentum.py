"""Momentum that moves against the learning rate: the base of CyclicLR and OneCycleLR."""

from __future__ import annotations

from typing import Any

from .scheduler import LRScheduler
from .settings import each, flag, fraction_below_one, per_group


class MomentumCycle(LRScheduler):
    """The base of schedules that change momentum, or the first beta, in the opposite direction of the learning rate."""

    cycle_momentum: bool
    use_beta1: bool

    def _momenta(self) -> list[float]:
        """The momentum of each group in ``last_epoch``."""
        raise NotImplementedError

    def _momentum_settings(
        self, optimizer: Any, cycle_momentum: bool, base_momentum: Any, max_momentum: Any
    ) -> dict[str, Any]:
        """The checked settings: "cycle_momentum" and, if it is true, both bounds as lists with a value for each group,
        and whether the first beta is changed instead of momentum.
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
        """Raise ValueError if a lower bound is above its upper bound."""
        for a, b in zip(settings[low], settings[high], strict=True):
            if a > b:
                raise ValueError(f"{self._name}: {low} is at most {high}, and {a} is above {b}")

    def _check_momentum(self, settings: dict[str, Any]) -> None:
        """Raise ValueError if a loaded state does not fit to the momentum of the optimizer."""
        flag(self._name, settings, "cycle_momentum")
        if settings["cycle_momentum"]:
            flag(self._name, settings, "use_beta1")
            if settings["use_beta1"] and not all("betas" in group for group in self.optimizer.param_groups):
                raise ValueError("use_beta1: True given, and the optimizer has no betas")
            if not settings["use_beta1"] and not all("momentum" in group for group in self.optimizer.param_groups):
                raise ValueError("use_beta1: False given, and the optimizer has no momentum")

    def _begin_momentum(self, base_momentums: list[float], max_momentums: list[float]) -> None:
        """Store both bounds in the groups, and set the momentum to the upper bound."""
        for group, low, high in zip(self.optimizer.param_groups, base_momentums, max_momentums, strict=True):
            group.update(base_momentum=low, max_momentum=high)
        self._write_momenta(max_momentums)

    def _write_momenta(self, momenta: list[float]) -> None:
        """Set the momentum, or the first beta, of each group."""
        for group, momentum in zip(self.optimizer.param_groups, momenta, strict=True):
            if self.use_beta1:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _write(self, lrs: list[float]) -> None:
        super()._write(lrs)
        if self.cycle_momentum:
            self._write_momenta(self._momenta())
