"""Settings of schedules: which values make sense. Each function raises ValueError, as ``name``, or makes values
Python's numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import checks

__all__ = ["each", "flag", "fraction_below_one", "one_of", "per_group", "plain", "positive", "whole"]


def whole(name: str, options: dict[str, Any], low: int, *names: str) -> None:
    """Whole numbers of at least ``low``; 30.0 and one of NumPy's are whole, too."""
    for option in names:
        value = options[option]
        if not checks.number(value) or value != int(value) or value < low:
            raise ValueError(f"{name}: {option} is a whole number of at least {low}, not {value!r}")
        options[option] = int(value)


def positive(name: str, options: dict[str, Any], *names: str) -> None:
    """Finite numbers above 0."""
    for option in names:
        if not checks.number(options[option]) or options[option] <= 0:
            raise ValueError(f"{name}: {option} is a finite number above 0, not {options[option]!r}")
    checks.finite(name, options, *names)


def fraction_below_one(name: str, options: dict[str, Any], *names: str) -> None:
    """Numbers from 0 to below 1."""
    for option in names:
        if not checks.number(options[option]) or not 0 <= options[option] < 1:
            raise ValueError(f"{name}: {option} is a number from 0 to below 1, not {options[option]!r}")
    checks.finite(name, options, *names)


def one_of(name: str, options: dict[str, Any], option: str, words: Sequence[str]) -> None:
    """One of some words."""
    if not isinstance(options[option], str) or options[option] not in words:
        raise ValueError(f"{name}: {option} is one of {', '.join(map(repr, words))}, not {options[option]!r}")


def flag(name: str, options: dict[str, Any], *names: str) -> None:
    """True or False."""
    for option in names:
        if not isinstance(options[option], bool):
            raise ValueError(f"{name}: {option} is True or False, not {options[option]!r}")


def per_group(name: str, option: str, value: Any, groups: int) -> list[Any]:
    """A list with a value for each group of parameters, from one value for all or from such a list."""
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name}: {option} has {len(value)} values, and the optimizer has {groups} groups; give one for each, or "
            f"one"
        )
    return list(value)


def each(check: Callable[..., None], name: str, options: dict[str, Any], *names: str) -> None:
    """Hold every value of some lists against a check of single ones."""
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
    """A copy made of lists and dicts, as JSON has them."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value
