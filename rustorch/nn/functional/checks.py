"""What functions of layers and losses check alike, and how losses are reduced."""

from __future__ import annotations

from typing import Any

from ...autograd.check import adopt
from ...variable import Variable


def floating(input: Any, name: str) -> Variable:
    input = adopt(input, name)
    if input.dtype.kind not in "fc":
        raise TypeError(
            f"{name} is of floating-point numbers, not of {input.dtype}; convert them, as in x.astype(rustorch.float32)"
        )
    return input


def check_reduction(name: str, reduction: str) -> None:
    """Raise ValueError unless a loss knows the reduction."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def reduced(values: Variable, reduction: str) -> Variable:
    return values.mean() if reduction == "mean" else values.sum() if reduction == "sum" else values
