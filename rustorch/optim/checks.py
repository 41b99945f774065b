"""Options that make sense: one place that says so, for optimizers and their schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any


def number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))


def _each(
    name: str, options: dict[str, Any], names: tuple[str, ...], right: Callable[[float], bool], told: str
) -> None:
    for option in names:
        value = options[option]
        if not number(value) or not right(float(value)):
            raise ValueError(f"{name}: {option} is {told}, not {value!r}")
        if type(value) not in (int, float):
            options[option] = float(value)  # one of NumPy's would not promote weakly


def not_negative(name: str, options: dict[str, Any], *names: str) -> None:
    """Raise ValueError, as ``name``, for an option that is no such number; one of NumPy's becomes Python's."""
    _each(name, options, names, lambda value: value >= 0, "a finite number that is not negative")


def fraction(name: str, options: dict[str, Any], *names: str) -> None:
    _each(name, options, names, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def finite(name: str, options: dict[str, Any], *names: str) -> None:
    _each(name, options, names, lambda value: True, "a finite number")


def at_least_one(name: str, options: dict[str, Any], *names: str) -> None:
    for option in names:
        value = options[option]
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}: {option} is an integer of at least 1, not {value!r}")
        options[option] = int(value)


def pair(name: str, options: dict[str, Any], option: str, right: Callable[[float, float], bool], told: str) -> None:
    """Raise ValueError if the option is no pair of numbers for which ``right`` holds; it becomes a tuple of Python's
    numbers.
    """
    value = options[option]
    if (
        not isinstance(value, (tuple, list))
        or len(value) != 2
        or not all(map(number, value))
        or not right(*map(float, value))
    ):
        raise ValueError(f"{name}: {option} is a pair of {told}, not {value!r}")
    options[option] = tuple(v if type(v) in (int, float) else float(v) for v in value)


def betas(name: str, options: dict[str, Any]) -> None:
    pair(name, options, "betas", lambda a, b: 0 <= a < 1 and 0 <= b < 1, "numbers from 0 to below 1")


def adaptive(name: str, options: dict[str, Any]) -> None:
    """What Adam and its kin have in common."""
    not_negative(name, options, "lr", "eps", "weight_decay")
    betas(name, options)
