"""What functions of layers and losses check alike, and how losses are reduced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...autograd.check import adopt
from ...ops.indexing import assign
from ...variable import Variable


def floating(input: Any, name: str) -> Variable:
    input = adopt(input, name)
    if input.dtype.kind not in "fc":
        raise TypeError(
            f"{name} is of floating-point numbers, not of {input.dtype}; convert them, as in x.astype(rustorch.float32)"
        )
    return input


def real(input: Any, name: str) -> Variable:
    """The input as a Variable, which must be of real floating-point numbers."""
    input = floating(input, name)
    if input.dtype.kind == "c":
        raise TypeError(f"{name} is of real numbers, not of {input.dtype}; take their real part, as in rustorch.real(x)")
    return input


def in_place(input: Variable, compute: Callable[[], Variable], name: str) -> Variable:
    """The input, after it became what ``compute()`` returns."""
    assign(input, compute, f"{name}(inplace=True)")
    return input


def check_reduction(name: str, reduction: str) -> None:
    """Raise ValueError unless a loss knows the reduction."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def reduced(values: Variable, reduction: str) -> Variable:
    return values.mean() if reduction == "mean" else values.sum() if reduction == "sum" else values
