"""Checks of the options of optimizers and schedules.

Each check raises ValueError, in the name of the class ``name``, for an option out of range. It replaces NumPy scalars
by Python numbers, which promote weakly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any


def number(value: Any) -> bool:
    """Whether a value is a finite real number; a bool is not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))


def _each(
    name: str, options: dict[str, Any], names: tuple[str, ...], is_valid: Callable[[float], bool], description: str
) -> None:
    for option in names:
        value = options[option]
        if not number(value) or not is_valid(float(value)):
            raise ValueError(f"{name}: {option} is {description}, not {value!r}")
        if type(value) not in (int, float):
            options[option] = float(value)


def not_negative(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are finite numbers that are not negative."""
    _each(name, options, names, lambda value: value >= 0, "a finite number that is not negative")


def fraction(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are numbers from 0 to 1."""
    _each(name, options, names, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def finite(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are finite numbers."""
    _each(name, options, names, lambda value: True, "a finite number")


def at_least_one(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are integers of at least 1."""
    for option in names:
        value = options[option]
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}: {option} is an integer of at least 1, not {value!r}")
        options[option] = int(value)


def pair(
    name: str, options: dict[str, Any], option: str, is_valid: Callable[[float, float], bool], description: str
) -> None:
    """The option is a pair of numbers that ``is_valid`` accepts; it becomes a tuple."""
    value = options[option]
    if (
        not isinstance(value, (tuple, list))
        or len(value) != 2
        or not all(map(number, value))
        or not is_valid(*map(float, value))
    ):
        raise ValueError(f"{name}: {option} is a pair of {description}, not {value!r}")
    options[option] = tuple(v if type(v) in (int, float) else float(v) for v in value)


def betas(name: str, options: dict[str, Any]) -> None:
    """The option "betas" is a pair of numbers from 0 to below 1."""
    pair(name, options, "betas", lambda a, b: 0 <= a < 1 and 0 <= b < 1, "numbers from 0 to below 1")


def adaptive(name: str, options: dict[str, Any]) -> None:
    """The options that Adam, AdamW, Adamax, NAdam and RAdam have in common."""
    not_negative(name, options, "lr", "eps", "weight_decay")
    betas(name, options)
