"""Pairs and triples of sizes, and what convolution, pooling and padding compute from them."""

from __future__ import annotations

from operator import index
from typing import Any

from ...ops import reshape

__all__: list[str] = []


def tuple_of(name: str, argument: str, value: Any, n: int, least: int | None = 1) -> tuple[int, ...]:
    """An integer, or ``n`` of them, as ``n`` integers.

    Parameters
    ----------
    name, argument : str
        The layer or function, and its argument: what the error names.
    value : int or sequence of n int
    n : int
    least : int, optional
        The smallest that is allowed; None for any.

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
    if least is not None and min(sizes, default=least) < least:
        raise ValueError(f"{name}: {argument} is at least {least}, not {value!r}")
    return sizes


def sizes_of(name: str, argument: str, value: Any, n: int, least: int | None = 1) -> tuple[int, ...]:
    """`tuple_of` for pooling, where a sequence of one integer is for all axes, as in PyTorch."""
    one = isinstance(value, (tuple, list)) and len(value) == 1
    return tuple_of(name, argument, value[0] if one else value, n, least)


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """How many zeros stand before and after, for each dimension, so that an output of stride 1 is as large as the
    input.
    """
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple([(total // 2, total - total // 2) for total in totals])


def batched(name: str, input: Any, n: int) -> tuple[Any, bool]:
    """The input of a layer of ``n`` spatial dimensions with an axis of samples, and whether it had one.

    Raises
    ------
    ValueError
        If it is neither (samples, channels, *size) nor (channels, *size).
    """
    if input.ndim not in (n + 1, n + 2):
        raise ValueError(
            f"{name}: the input has {n + 2} dimensions, (samples, channels, {_SIZES[n]}), or {n + 1} without samples; "
            f"its shape is {input.shape}"
        )
    return (input, True) if input.ndim == n + 2 else (reshape(input, (1, *input.shape)), False)


_SIZES = {1: "length", 2: "height, width", 3: "depth, height, width"}
