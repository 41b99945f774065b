"""What a new average is: from the one before and the present weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import ops
from ...autograd.modes import no_grad
from ...backends import dtypes
from ...variable import Variable
from .. import checks

__all__ = ["get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn"]

AverageFn = Callable[[Variable, Variable, int], Variable]
MultiAverageFn = Callable[[Sequence[Variable], Sequence[Variable], int], None]


def store(target: Variable, value: Any) -> None:
    """Write a value of any dtype and device; floats become integers towards 0."""
    target[...] = ops.astype(value, target.dtype, copy=False).to(target.device)


def numbers(value: Variable) -> Variable:
    """A Variable to compute averages of: counters become floats, as PyTorch's do."""
    return value if dtypes.is_floating(value.dtype) else ops.astype(value, dtypes.float32)


def _move(average: Variable, current: Variable, weight: float) -> None:
    """``average += weight * (current - average)``, in place; exact for weight 1."""
    if weight < 0.5:
        average += weight * (current - average)
    else:
        average[...] = current - (1 - weight) * (current - average)


def _decay(function: str, decay: Any) -> float:
    checks.fraction(function, given := {"decay": decay}, "decay")
    return given["decay"]


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverageFn:
    """A function that averages exponentially, in place: ``average = decay * average + (1 - decay) * current``.

    Parameters
    ----------
    decay : float
        From 0 to 1.

    Returns
    -------
    callable
        ``function(averages, currents, num_averaged)`` for lists of Variables; for `AveragedModel`.

    Raises
    ------
    ValueError
        If the decay is not from 0 to 1.

    Notes
    -----
    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, with weights that decay.

    Examples
    --------
    >>> import rustorch
    >>> average = rustorch.tensor([0.0, 4.0])
    >>> rustorch.optim.swa_utils.get_ema_multi_avg_fn(0.75)([average], [rustorch.tensor([4.0, 4.0])], 1)
    >>> average
    Variable([1., 4.])
    """
    decay = _decay("get_ema_multi_avg_fn", decay)

    def update(averages: Sequence[Variable], currents: Sequence[Variable], num_averaged: Any) -> None:
        with no_grad():
            for average, current in zip(averages, currents, strict=True):
                if dtypes.is_floating(average.dtype):
                    _move(average, current, 1 - decay)
                else:
                    store(average, numbers(average) * decay + numbers(current) * (1 - decay))

    return update


def get_swa_multi_avg_fn() -> MultiAverageFn:
    """A function that averages equally, in place: ``average += (current - average) / (num_averaged + 1)``.

    Returns
    -------
    callable
        ``function(averages, currents, num_averaged)`` for lists of Variables; for `AveragedModel`.

    Notes
    -----
    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, algorithm 1.

    Examples
    --------
    >>> import rustorch
    >>> average = rustorch.tensor([0.0, 4.0])
    >>> rustorch.optim.swa_utils.get_swa_multi_avg_fn()([average], [rustorch.tensor([4.0, 4.0])], 3)
    >>> average
    Variable([1., 4.])
    """

    def update(averages: Sequence[Variable], currents: Sequence[Variable], num_averaged: Any) -> None:
        with no_grad():
            for average, current in zip(averages, currents, strict=True):
                if dtypes.is_floating(average.dtype):
                    _move(average, current, 1 / (int(num_averaged) + 1))
                else:
                    old = numbers(average)
                    store(average, old + (numbers(current) - old) / (int(num_averaged) + 1))

    return update


def get_ema_avg_fn(decay: float = 0.999) -> AverageFn:
    """A function that averages exponentially: ``decay * average + (1 - decay) * current``.

    Parameters
    ----------
    decay : float
        From 0 to 1.

    Returns
    -------
    callable
        ``function(average, current, num_averaged)`` returns the new average of one Variable; for `AveragedModel`.

    Raises
    ------
    ValueError
        If the decay is not from 0 to 1.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.optim.swa_utils.get_ema_avg_fn(0.75)(rustorch.tensor([0.0, 4.0]), rustorch.tensor([4.0, 4.0]), 1)
    Variable([1., 4.])
    """
    decay = _decay("get_ema_avg_fn", decay)

    def update(average: Variable, current: Variable, num_averaged: Any) -> Variable:
        with no_grad():
            return decay * average + (1 - decay) * current

    return update


def get_swa_avg_fn() -> AverageFn:
    """A function that averages equally: ``average + (current - average) / (num_averaged + 1)``.

    Returns
    -------
    callable
        ``function(average, current, num_averaged)`` returns the new average of one Variable; for `AveragedModel`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.optim.swa_utils.get_swa_avg_fn()(rustorch.tensor([0.0, 4.0]), rustorch.tensor([4.0, 4.0]), 3)
    Variable([1., 4.])
    """

    def update(average: Variable, current: Variable, num_averaged: Any) -> Variable:
        with no_grad():
            return average + (current - average) / (int(num_averaged) + 1)

    return update
