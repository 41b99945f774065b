"""What losses do with their targets and weights alike: shapes and dtypes that fit, and products with what counts
nothing.
"""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...autograd.check import adopt, broadcastable
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import extent, readable
from ...variable import Variable
from .checks import floating, mixing, real, reduced


def pair(name: str, input: Any, target: Any, takes: str = "f", to: str = "wider") -> tuple[Variable, Variable]:
    """An input and its target, of one shape and of one dtype; of real numbers, unless ``takes`` has "c".

    Parameters
    ----------
    name : str
    input, target : Variable or array
    takes : str
        Kinds of dtypes of targets: "f", "c" for complex numbers, and "i" and "u" for those that become the input's
        dtype.
    to : {"wider", "input", "none"}
        What becomes of two floating-point dtypes: the wider one, as operators have it, or the input's; "none" refuses.

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
    """Both in one dtype; parameters and errors as of `pair`, ``word`` says what the second one is."""
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


def signs(name: str, target: Any, input: Variable, keep: bool = False) -> Variable:
    """A target of 1 and -1 in the dtype of the input; it may be of integers. With ``keep`` floating-point numbers stay
    what they are.
    """
    target = adopt(target, name, (input,))
    if target.dtype.kind not in "iuf":
        raise TypeError(f"{name}: the target is of numbers 1 and -1, not of {target.dtype}")
    return (
        target
        if target.dtype == input.dtype or (keep and target.dtype.kind == "f")
        else ops.astype(target, input.dtype)
    )


def check_classes(name: str, target: Variable, classes: int, ignore_index: int | None = None) -> None:
    """Raise IndexError for a class index that is known to be out of range, and is not the one to ignore."""
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


def class_weight(name: str, weight: Any, input: Variable, classes: int, exact: bool = True) -> Variable | None:
    """A weight for each class, or None; with ``exact`` it has to be of the input's dtype."""
    if weight is None:
        return None
    weight = adopt(weight, name, (input,))
    if weight.shape != (classes,):
        raise ValueError(f"{name}: the weight has shape {weight.shape}, but there are {classes} classes")
    mixing(name, input, weight)
    if exact:
        together(name, "weight", input, weight, to="none")
    return weight


def class_indices(name: str, target: Any, input: Variable, shape: tuple[int, ...]) -> Variable:
    """Integers of a shape, as int64: whatever marks an entry (-100, -1) must fit."""
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


def factor(name: str, weight: Any, input: Variable, word: str = "weight") -> Variable:
    """What each element counts, in the input's dtype and of a shape that broadcasts to the input's."""
    weight = _numbers(name, weight, input, word)
    if not broadcastable([weight.shape, input.shape]) or ops.broadcast_shapes(weight.shape, input.shape) != input.shape:
        raise ValueError(
            f"{name}: a {word} of shape {weight.shape} does not broadcast to the input's shape {input.shape}"
        )
    return weight if weight.dtype == input.dtype else ops.astype(weight, input.dtype)


def _numbers(name: str, weight: Any, input: Variable, word: str = "weight") -> Variable:
    weight = adopt(weight, name, (input,))
    if weight.dtype.kind not in "biuf":
        raise TypeError(f"{name}: the {word} is of real numbers, not of {weight.dtype}")
    return weight


def elements_weight(name: str, weight: Any, input: Variable) -> Variable:
    """What each element counts, of the input's shape; of floating-point numbers."""
    weight = _numbers(name, weight, input)
    if weight.shape != input.shape:
        raise ValueError(f"{name}: the weight has shape {weight.shape} and the input {input.shape}; they must be equal")
    return weight if weight.dtype.kind == "f" else ops.astype(weight, input.dtype)


def broadcast_weight(name: str, weight: Any, losses: Variable) -> Variable:
    """What each element counts, of any shape that broadcasts with that of the losses; of floating-point numbers."""
    weight = _numbers(name, weight, losses)
    if not broadcastable([weight.shape, losses.shape]):
        raise ValueError(
            f"{name}: a weight of shape {weight.shape} does not broadcast to the input's shape {losses.shape}"
        )
    return weight if weight.dtype.kind == "f" else ops.astype(weight, losses.dtype)


def finite_where_counted(x: Variable, weight: Variable) -> Variable:
    """``x``, and 0 where it is infinite and counts nothing: then neither its square nor the slope of that is
    infinite.
    """
    return ops.where(ops.logical_and(weight == 0, ops.isinf(x)), ops.zeros_like(x), x)


def weighed(losses: Variable, weight: Variable) -> Variable:
    """The losses times what each counts; 0 where an infinite one counts nothing, and its gradient is 0."""
    return network.weighed(*together("weighed", "weight", losses, weight))


def counted(losses: Variable, weight: Variable, reduction: str, average: bool = True) -> Variable:
    """Losses times what each counts, reduced; with ``average``, "mean" divides by the sum of what they count, else by
    their number.
    """
    out = weighed(losses, weight)
    return (
        network.quotient(ops.sum(out), ops.sum(weight)) if reduction == "mean" and average else reduced(out, reduction)
    )


def of_nothing(x: Variable, reduction: str) -> Variable:
    """The losses of an (n, classes) matrix without elements: zeros, and nan as their mean; in the graph of x, for its
    gradient.
    """
    losses = ops.sum(x, axis=1)
    return losses if reduction == "none" else ops.sum(losses) * math.nan if reduction == "mean" else ops.sum(losses)
