"""Arguments that loaders, samplers and datasets check alike."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

from ..random import randint

_SEEDS = 2**63 - 1


def whole(name: str, what: str, value: Any, least: int = 0) -> int:
    """An integer that is at least 0 or 1.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is smaller.
    """
    kind = "positive" if least else "non-negative"
    message = f"{name}: {what} is a {kind} integer, not {value!r}"
    if isinstance(value, bool):
        raise ValueError(message)
    try:
        number = index(value)
    except TypeError:
        raise ValueError(message) from None
    if number < least:
        raise ValueError(message)
    return number


def flag(name: str, what: str, value: Any) -> bool:
    """True or False. Raises ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {what} is True or False, not {value!r}")
    return value


def seed_of(name: str, seed: Any) -> int:
    """The seed, or for None one that is drawn from rustorch's random numbers. Raises ValueError if it is negative or no
    integer.
    """
    return randint(_SEEDS, device="cpu").item() if seed is None else whole(name, "seed", seed)


def length_of(name: str, dataset: Any, needed_for: str) -> int:
    """The number of samples. Raises TypeError if the dataset does not tell."""
    try:
        return len(dataset)
    except TypeError as error:
        raise TypeError(
            f"{name}: {needed_for} needs a dataset with a length, and {type(dataset).__name__} has none: {error}"
        ) from error


def place(name: str, i: Any, n: int) -> int:
    """The position in a dataset of ``n`` samples that an index means, which may count from the end.

    Raises
    ------
    IndexError
        If there is none.
    TypeError
        If it is no integer.
    """
    try:
        at = None if isinstance(i, bool) else index(i)
    except TypeError:
        at = None
    if at is None:
        raise TypeError(f"{name}: an index is an integer, not {i!r} of type {type(i).__name__}")
    if not -n <= at < n:
        raise IndexError(f"{name}: index {at} is out of range for {n} samples")
    return at + n if at < 0 else at


def places(name: str, indices: Iterable[Any], n: int) -> list[int]:
    """The positions that all indices of a batch mean. Raises as `place` does."""
    given = list(indices)
    if given and set(map(type, given)) == {int} and min(given) >= 0 and max(given) < n:  # one look for all of them
        return given
    return [place(name, i, n) for i in given]
