"""Pairs and triples of sizes, and what convolution, pooling and padding compute from them."""

from __future__ import annotations

from operator import index
from typing import Any

__all__: list[str] = []


def tuple_of(name: str, argument: str, value: Any, n: int, least: int = 1) -> tuple[int, ...]:
    """An integer, or ``n`` of them, as ``n`` integers.

    Parameters
    ----------
    name, argument : str
        The layer or function, and its argument: what the error names.
    value : int or sequence of n int
    n : int
    least : int
        The smallest that is allowed.

    Raises
    ------
    TypeError
        If something is no integer.
    ValueError
        If there are not ``n``, or one is too small.
    """
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    numbers = "an integer" if n == 1 else f"an integer or {n} of them"
    try:
        sizes = tuple([index(size) for size in given if not isinstance(size, bool)])
    except TypeError:
        sizes = ()
    if len(sizes) != len(given):
        raise TypeError(f"{name}: {argument} is {numbers}, not {value!r}")
    if len(sizes) != n:
        raise ValueError(f"{name}: {argument} is {numbers}, not {value!r}")
    if min(sizes, default=least) < least:
        raise ValueError(f"{name}: {argument} is at least {least}, not {value!r}")
    return sizes
