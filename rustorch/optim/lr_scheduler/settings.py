"""Checks of the settings of schedules, beside those of ``optim/checks.py``.

Each check raises ValueError, in the name of the class ``name``, for a setting out of range. It replaces NumPy scalars
by Python numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import checks

__all__ = ["each", "flag", "fraction_below_one", "one_of", "per_group", "plain", "positive", "whole"]


def whole(name: str, options: dict[str, Any], low: int, *names: str) -> None:
    """The options ``names`` are whole numbers of at least ``low``. A float such as 30.0 is whole."""
    for option in names:
        value = options[option]
        if not checks.number(value) or value != int(value) or value < low:
            raise ValueError(f"{name}: {option} is a whole number of at least {low}, not {value!r}")
        options[option] = int(value)


def positive(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are finite numbers above 0."""
    for option in names:
        if not checks.number(options[option]) or options[option] <= 0:
            raise ValueError(f"{name}: {option} is a finite number above 0, not {options[option]!r}")
    checks.finite(name, options, *names)


def fraction_below_one(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are numbers from 0 to below 1."""
    for option in names:
        if not checks.number(options[option]) or not 0 <= options[option] < 1:
            raise ValueError(f"{name}: {option} is a number from 0 to below 1, not {options[option]!r}")
    checks.finite(name, options, *names)


def one_of(name: str, options: dict[str, Any], option: str, words: Sequence[str]) -> None:
    """The option is one of some words."""
    if not isinstance(options[option], str) or options[option] not in words:
        raise ValueError(f"{name}: {option} is one of {', '.join(map(repr, words))}, not {options[option]!r}")


def flag(name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are True or False."""
    for option in names:
        if not isinstance(options[option], bool):
            raise ValueError(f"{name}: {option} is True or False, not {options[option]!r}")


def per_group(name: str, option: str, value: Any, groups: int) -> list[Any]:
    """A list with a value for each group of parameters, made from one value for all groups or from such a list."""
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name}: {option} has {len(value)} values, and the optimizer has {groups} groups; give one for each, or "
            f"one"
        )
    return list(value)


def each(check: Callable[..., None], name: str, options: dict[str, Any], *names: str) -> None:
    """The options ``names`` are lists, of which every value passes a check of single values."""
    for option in names:
        values = options[option]
        if not isinstance(values, (list, tuple)):
            raise ValueError(f"{name}: {option} is a list, not {values!r}")
        checked = []
        for value in values:
            check(name, one := {option: value}, option)
            checked.append(one[option])
        options[option] = checked


def plain(value: Any) -> Any:
    """A copy made of lists and dicts, the containers of JSON."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value
