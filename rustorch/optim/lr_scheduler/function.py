"""Schedules that a function of the epoch defines: LambdaLR and MultiplicativeLR."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from .scheduler import LRScheduler
from .settings import per_group

__all__ = ["LambdaLR", "MultiplicativeLR"]

Factor = Callable[[int], float]


class _ByFunction(LRScheduler):
    """The base of both: a function for each group, whose results it checks."""

    lr_lambdas: list[Factor]
    _functions = ("lr_lambdas",)

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1) -> None:
        groups = len(self._checked_optimizer(optimizer).param_groups)
        functions = per_group(self._name, "lr_lambda", lr_lambda, groups)
        for function in functions:
            if not callable(function):
                raise TypeError(
                    f"{self._name}: lr_lambda is a function of the epoch, or a list of them, not {function!r}"
                )
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch)

    def _factor(self, group: int) -> float:
        """The factor of a group in ``last_epoch``, a finite number that is not negative."""
        returned: Any = self.lr_lambdas[group](self.last_epoch)
        try:
            factor = float(returned)
        except (TypeError, ValueError):
            factor = math.nan
        if not 0 <= factor < math.inf:
            raise ValueError(
                f"{self._name}: lr_lambda({self.last_epoch}) of group {group} is {returned!r}; a factor is a finite "
                f"number that is not negative"
            )
        return factor


class LambdaLR(_ByFunction):
    """``lr[t] = base_lr * lr_lambda(t)``.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or list of them
        Returns the factor of the epoch ``t``, which starts from 0. One for all groups, or one for each.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch, or ``lr_lambda`` cannot be called.
    ValueError
        If there are more or fewer functions than groups, or a function returns anything but a finite number that is not
        negative.

    Notes
    -----
    The ``state_dict`` does not contain functions; of a callable object it contains the attributes.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=0.5)
    >>> schedule = rustorch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> optimizer.lr
    0.125
    """

    def _next(self) -> list[float]:
        return [base * self._factor(i) for i, base in enumerate(self.base_lrs)]


class MultiplicativeLR(_ByFunction):
    """``lr[t] = lr[t - 1] * lr_lambda(t)``, from ``lr[0] = base_lr``.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or list of them
        Returns the factor of the epoch ``t``, which starts from 1. One for all groups, or one for each.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch, or ``lr_lambda`` cannot be called.
    ValueError
        If there are more or fewer functions than groups, or a function returns anything but a finite number that is not
        negative.

    Notes
    -----
    The ``state_dict`` does not contain functions; of a callable object it contains the attributes.

    Examples
    --------
    >>> import rustorch
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = rustorch.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> optimizer.lr
    0.125
    """

    def _next(self) -> list[float]:
        groups = self.optimizer.param_groups
        return [group["lr"] if self._is_initial else group["lr"] * self._factor(i) for i, group in enumerate(groups)]
