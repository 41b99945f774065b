"""Checks of the arguments that loaders, samplers and datasets share."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

from ..backends.promotion import is_numpy_scalar
from ..random import randint

_LARGEST_SEED = 2**63 - 1


def checked_integer(name: str, what: str, value: Any, least: int = 0) -> int:
    """The value as an int that is at least 0 or 1.

    Parameters
    ----------
    name : str
        The function or class that an error names.
    what : str
        The argument that an error names.
    value : object
    least : {0, 1}

    Raises
    ------
    ValueError
        If it is no integer, or smaller.
    """
    message = f"{name}: {what} is a {'positive' if least else 'non-negative'} integer, not {value!r}"
    if isinstance(value, bool):
        raise ValueError(message)
    try:
        number = index(value)
    except TypeError:
        raise ValueError(message) from None
    if number < least:
        raise ValueError(message)
    return number


def checked_bool(name: str, what: str, value: Any) -> bool:
    """The value, which is True or False. Raises ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {what} is True or False, not {value!r}")
    return value


def given_or_drawn_seed(name: str, seed: Any) -> int:
    """The given seed; for None, a seed that is drawn from rustorch's random numbers.

    Raises
    ------
    ValueError
        If it is negative or no integer.
    """
    return int(randint(_LARGEST_SEED, device="cpu").item()) if seed is None else checked_integer(name, "seed", seed)


def length_of(name: str, dataset: Any, needed_for: str) -> int:
    """The number of samples. Raises TypeError if the dataset has no length."""
    try:
        return len(dataset)
    except TypeError as error:
        raise TypeError(
            f"{name}: {needed_for} needs a dataset with a length, and {type(dataset).__name__} has none: {error}"
        ) from error


def position_of(name: str, i: Any, n: int) -> int:
    """The position of an index in a dataset of ``n`` samples. A negative index counts from the end.

    Raises
    ------
    IndexError
        If it is out of range.
    TypeError
        If it is no integer.
    """
    try:
        is_bool = isinstance(i, bool) or (is_numpy_scalar(i) and i.dtype.kind == "b")
        position = None if is_bool else index(i)
    except TypeError:
        position = None
    if position is None:
        raise TypeError(f"{name}: an index is an integer, not {i!r} of type {type(i).__name__}")
    if not -n <= position < n:
        raise IndexError(f"{name}: index {position} is out of range for {n} samples")
    return position + n if position < 0 else position


def positions_of(name: str, indices: Iterable[Any], n: int) -> list[int]:
    """The positions of all indices of a batch. Raises as `position_of` does."""
    as_list = list(indices)
    # the usual case, checked for all indices at once: Python's integers in [0, n)
    if as_list and set(map(type, as_list)) == {int} and min(as_list) >= 0 and max(as_list) < n:
        return as_list
    return [position_of(name, i, n) for i in as_list]
