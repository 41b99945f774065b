"""Functions that compute a new average from the old average and the current weights."""

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
    """Write a value of any dtype and device into a Variable. A float is truncated for an integer dtype."""
    target[...] = ops.astype(value, target.dtype, copy=False).to(target.device)


def numbers(value: Variable) -> Variable:
    """A Variable whose averages can be computed: integers become float32, as in PyTorch."""
    return value if dtypes.is_floating(value.dtype) else ops.astype(value, dtypes.float32)


def _move(average: Variable, current: Variable, weight: float) -> None:
    """``average += weight * (current - average)``, in place, and exact for weight 1."""
    if weight < 0.5:
        average += weight * (current - average)
    else:
        average[...] = current - (1 - weight) * (current - average)


def _decay(function: str, decay: Any) -> float:
    """A checked decay, as a Python number."""
    checks.fraction(function, options := {"decay": decay}, "decay")
    checked: float = options["decay"]
    return checked


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverageFn:
    """A function for exponential moving averages, in place: ``average = decay * average + (1 - decay) * current``.

    Parameters
    ----------
    decay : float
        The weight of the old average, from 0 to 1.

    Returns
    -------
    callable
        ``function(averages, currents, num_averaged)``, which writes the averages of lists of Variables in place.
        `AveragedModel` takes it as ``multi_avg_fn``.

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
    """A function for averages with equal weights, in place: ``average += (current - average) / (num_averaged + 1)``.

    Returns
    -------
    callable
        ``function(averages, currents, num_averaged)``, which writes the averages of lists of Variables in place.
        `AveragedModel` takes it as ``multi_avg_fn``.

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
    """A function for exponential moving averages: ``decay * average + (1 - decay) * current``.

    Parameters
    ----------
    decay : float
        The weight of the old average, from 0 to 1.

    Returns
    -------
    callable
        ``function(average, current, num_averaged)``, which returns the new average of one Variable. `AveragedModel`
        takes it as ``avg_fn``.

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
            new: Variable = decay * average + (1 - decay) * current
            return new

    return update


def get_swa_avg_fn() -> AverageFn:
    """A function for averages with equal weights: ``average + (current - average) / (num_averaged + 1)``.

    Returns
    -------
    callable
        ``function(average, current, num_averaged)``, which returns the new average of one Variable. `AveragedModel`
        takes it as ``avg_fn``.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.optim.swa_utils.get_swa_avg_fn()(rustorch.tensor([0.0, 4.0]), rustorch.tensor([4.0, 4.0]), 3)
    Variable([1., 4.])
    """

    def update(average: Variable, current: Variable, num_averaged: Any) -> Variable:
        with no_grad():
            new: Variable = average + (current - average) / (int(num_averaged) + 1)
            return new

    return update
