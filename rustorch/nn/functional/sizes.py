"""Sizes for one, two or three dimensions, checked; and what convolution computes from them."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

from ...ops import reshape

if TYPE_CHECKING:
    from ...variable import Variable


__all__: list[str] = []


def tuple_of(name: str, argument: str, value: Any, n: int, least: int | None = 1) -> tuple[int, ...]:
    """``n`` integers, given as one integer or as ``n`` of them.

    Parameters
    ----------
    name, argument : str
        The layer or function, and its argument, for the error message.
    value : int or sequence of n int
    n : int
    least : int, optional
        The smallest allowed integer; None allows all.

    Raises
    ------
    TypeError
        If a value is not an integer.
    ValueError
        If there are not ``n`` integers, or one is too small.
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
    """`tuple_of` for pooling, where a sequence of one integer counts for all dimensions, as in PyTorch."""
    one = isinstance(value, (tuple, list)) and len(value) == 1
    return tuple_of(name, argument, value[0] if one else value, n, least)


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The numbers of zeros before and after, for each dimension, that make the output as large as the input.

    This is for a stride of 1. An odd number of zeros has one more after than before.
    """
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple([(total // 2, total - total // 2) for total in totals])


def batched(name: str, input: Variable, n: int) -> tuple[Variable, bool]:
    """The input with a dimension of samples, and whether it had one; ``n`` is the number of spatial dimensions.

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
