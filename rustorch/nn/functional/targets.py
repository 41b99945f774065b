"""Targets and weights of losses: checks of shapes and dtypes, and sums with weights, some of which may be 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.check import broadcastable
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import extent, readable
from .checks import adopt, floating, mixing, real, reduced

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


def pair(
    name: str, input: ArrayLike, target: ArrayLike, takes: str = "f", to: str = "wider"
) -> tuple[Variable, Variable]:
    """An input and its target in one dtype, after a check that their shapes are equal.

    Parameters
    ----------
    name : str
    input, target : Variable or array
    takes : str
        The kinds of dtypes that the target may have: "f"; "c" for complex numbers; "i" and "u" for integers, which are
        converted to the input's dtype. With "c" the input may be complex, too.
    to : {"wider", "input", "none"}
        The result's dtype, if both have different floating-point dtypes: the wider one, as for operators, or the
        input's. "none" raises TypeError.

    Raises
    ------
    TypeError
        If a dtype does not fit.
    ValueError
        If the shapes differ.
    """
    input = floating(input, name) if "c" in takes else real(input, name)
    target = adopt(target, name, (input,))
    if input._native.shape != target._native.shape:
        raise ValueError(
            f"{name}: the input has shape {input.shape} and the target {target.shape}; they must be equal, reshape one "
            f"of them"
        )
    return (
        (input, target)
        if input._native.dtype is target._native.dtype
        else together(name, "target", input, target, takes, to)
    )


def together(
    name: str, word: str, input: Variable, target: Variable, takes: str = "f", to: str = "wider"
) -> tuple[Variable, Variable]:
    """Both in one dtype. Parameters and errors are as for `pair`; ``word`` names the second value in errors."""
    one, other = input.dtype, target.dtype
    if one == other:
        return input, target
    if other.kind == "c" and "c" not in takes:
        raise TypeError(f"{name}: the {word} is of real numbers, not of {other}")
    if other.kind not in takes:
        mixing(name, input, target)
    if other.kind in "iu" or to == "input":
        return input, ops.astype(target, one)
    if to == "none":
        raise TypeError(
            f"{name}: the input is of {one} and the {word} of {other}; they must be equal, convert one of them, as in "
            f"y.astype(rustorch.{one})"
        )
    wider = ops.result_type(one, other)
    return ops.astype(input, wider, copy=False), ops.astype(target, wider, copy=False)


def signs(name: str, target: ArrayLike, input: Variable, keep: bool = False) -> Variable:
    """A target of 1 and -1, converted to the dtype of the input; with ``keep``, only a target of integers is."""
    target = adopt(target, name, (input,))
    if target.dtype.kind not in "iuf":
        raise TypeError(f"{name}: the target is of numbers 1 and -1, not of {target.dtype}")
    return (
        target
        if target.dtype == input.dtype or (keep and target.dtype.kind == "f")
        else ops.astype(target, input.dtype)
    )


def check_classes(name: str, target: Variable, classes: int, ignore_index: int | None = None) -> None:
    """Raise IndexError if a class index is out of range and is not ``ignore_index``.

    Nothing is checked where reading the indices would make the program wait.
    """
    if not readable(target):
        return
    if not classes:
        target = target if ignore_index is None else target[target != ignore_index]
    elif ignore_index is not None and not 0 <= ignore_index < classes:
        target = ops.where(target != ignore_index, target, ops.zeros_like(target))
    lowest, highest = extent(target)
    if lowest is not None and highest is not None and (lowest < 0 or highest >= classes):
        raise IndexError(
            f"{name}: class index {lowest if lowest < 0 else highest} is out of range for {classes} classes"
        )


def class_weight(name: str, weight: ArrayLike, input: Variable, classes: int, exact: bool = True) -> Variable | None:
    """The weights of the classes, (classes,), or None. With ``exact`` they must have the input's dtype."""
    if weight is None:
        return None
    weight = adopt(weight, name, (input,))
    if weight.shape != (classes,):
        raise ValueError(f"{name}: the weight has shape {weight.shape}, but there are {classes} classes")
    mixing(name, input, weight)
    if exact:
        together(name, "weight", input, weight, to="none")
    return weight


def class_indices(name: str, target: ArrayLike, input: Variable, shape: tuple[int, ...]) -> Variable:
    """Class indices of a given shape as int64, in which the marks -100 and -1 fit, too."""
    target = adopt(target, name, (input,))
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: class indices are integers, not of {target.dtype}; convert them, as in y.astype(rustorch.int64)"
        )
    if target.shape != shape:
        raise ValueError(
            f"{name}: class indices for an input of shape {input.shape} have shape {shape}, not {target.shape}"
        )
    return target if target.dtype == dtypes.int64 else ops.astype(target, dtypes.int64)


def factor(name: str, weight: ArrayLike, input: Variable, word: str = "weight") -> Variable:
    """The weights of elements, in the input's dtype. Their shape must broadcast to the input's shape."""
    weight = _numbers(name, weight, input, word)
    if not broadcastable([weight.shape, input.shape]) or ops.broadcast_shapes(weight.shape, input.shape) != input.shape:
        raise ValueError(
            f"{name}: a {word} of shape {weight.shape} does not broadcast to the input's shape {input.shape}"
        )
    return weight if weight.dtype == input.dtype else ops.astype(weight, input.dtype)


def _numbers(name: str, weight: ArrayLike, input: Variable, word: str = "weight") -> Variable:
    weight = adopt(weight, name, (input,))
    if weight.dtype.kind not in "biuf":
        raise TypeError(f"{name}: the {word} is of real numbers, not of {weight.dtype}")
    return weight


def elements_weight(name: str, weight: ArrayLike, input: Variable) -> Variable:
    """The weights of elements, of the input's shape, as floating-point numbers."""
    weight = _numbers(name, weight, input)
    if weight.shape != input.shape:
        raise ValueError(f"{name}: the weight has shape {weight.shape} and the input {input.shape}; they must be equal")
    return weight if weight.dtype.kind == "f" else ops.astype(weight, input.dtype)


def broadcast_weight(name: str, weight: ArrayLike, losses: Variable) -> Variable:
    """The weights of elements, of a shape that broadcasts with the losses' shape, as floating-point numbers."""
    weight = _numbers(name, weight, losses)
    if not broadcastable([weight.shape, losses.shape]):
        raise ValueError(
            f"{name}: a weight of shape {weight.shape} does not broadcast to the input's shape {losses.shape}"
        )
    return weight if weight.dtype.kind == "f" else ops.astype(weight, losses.dtype)


def finite_where_counted(x: Variable, weight: Variable) -> Variable:
    """``x``, but 0 where it is infinite and its weight is 0. So neither its square nor its derivative is infinite."""
    return ops.where(ops.logical_and(weight == 0, ops.isinf(x)), ops.zeros_like(x), x)


def weighed(losses: Variable, weight: Variable) -> Variable:
    """The losses times their weights. With a weight of 0 an infinite loss becomes 0, and its gradient is 0."""
    return network.weighed(*together("weighed", "weight", losses, weight))


def counted(losses: Variable, weight: Variable, reduction: str, average: bool = True) -> Variable:
    """The losses times their weights, reduced.

    "mean" divides by the sum of the weights, or without ``average`` by the number of losses.
    """
    out = weighed(losses, weight)
    return (
        network.quotient(ops.sum(out), ops.sum(weight)) if reduction == "mean" and average else reduced(out, reduction)
    )


def of_nothing(x: Variable, reduction: str) -> Variable:
    """The reduced losses of an (n, classes) matrix ``x`` without elements: zeros, and nan as their mean.

    They are computed from ``x``, so that ``x`` gets a gradient.
    """
    losses = ops.sum(x, axis=1)
    return losses if reduction == "none" else ops.sum(losses) * math.nan if reduction == "mean" else ops.sum(losses)
