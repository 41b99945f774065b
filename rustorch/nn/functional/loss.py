"""Losses."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...autograd.check import adopt
from ...autograd.graph import VARIABLES
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import extent, within
from ...variable import Variable
from .checks import check_reduction, floating, reduced

__all__ = ["cross_entropy", "mse_loss"]


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Variable:
    """Squared differences: their mean, their sum, or each.

    Parameters
    ----------
    input, target : Variable or array
        Of one shape.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting (n, 1) against (n,) would compare everything with everything.
    """
    check_reduction("mse_loss", reduction)
    input, target = adopt(input, "mse_loss", (target,)), adopt(target, "mse_loss", (input,))
    if input._native.shape != target._native.shape:
        raise ValueError(
            f"mse_loss: the input has shape {input.shape} and the target {target.shape}; they must be equal, reshape one of them"
        )
    if input._native.dtype is not target._native.dtype:
        ops.result_type(input, target)  # raises for kinds that do not mix
    if reduction == "none" or floating(input, "mse_loss").dtype.kind == "c":
        d = input - target
        return d * d if reduction == "none" else d.mean() if reduction == "mean" and not input.size else reduced(d * d, reduction)
    return network.mse.call(input, target, input.size if reduction == "mean" else 1)


def cross_entropy(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Variable:  # fmt: skip
    """Cross-entropy between logits and classes: ``-sum(t * log_softmax(input))``.

    Parameters
    ----------
    input : Variable or array, (classes,), (n, classes) or (n, classes, d1, ...)
        Logits: not normalised, of any size (it is stable for 1e4).
    target : Variable or array
        Class indices, integers of the input's shape without the dimension of classes; or class probabilities, floats of the
        input's shape.
    weight : Variable or array, (classes,), optional
        What each class counts.
    ignore_index : int
        Targets of this index count nothing (for class indices only).
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the weights of the targets; for probabilities, by their number.
    label_smoothing : float
        Probability that is spread evenly over the classes, in [0, 1].

    Returns
    -------
    Variable
        Of shape (), or with "none" of the shape of class indices.

    Raises
    ------
    IndexError
        If a class index is out of range. (On "cuda" and under tracing indices cannot be looked at without waiting for them.)
    ValueError
        If shapes do not fit, or an option is out of range.
    TypeError
        If the target is boolean.
    """
    if weight is None and not label_smoothing and reduction == "mean" and type(input) in VARIABLES and type(target) in VARIABLES:
        # the usual case: a matrix of logits, an index for every row, and every row counts 1
        logits, indices = input._native, target._native
        if logits.ndim == 2 and indices.shape == logits.shape[:1]:
            count, classes = logits.shape
            if not 0 <= ignore_index < classes and within(target, classes) and dtypes.is_floating(input.dtype):
                return network.cross_entropy.call(input, target, None, count)
    check_reduction("cross_entropy", reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is in [0, 1], not {label_smoothing}")
    input, target = adopt(input, "cross_entropy", (target,)), adopt(target, "cross_entropy", (input,))
    shape = floating(input, "cross_entropy").shape
    if not shape:
        raise ValueError("cross_entropy: the input needs a dimension of classes")
    rows, classes = (shape[:1], shape[0]) if len(shape) == 1 else (shape[:1] + shape[2:], shape[1])
    rows = () if len(shape) == 1 else rows
    if weight is not None:
        weight = adopt(weight, "cross_entropy", (input,))
        if weight.shape != (classes,):
            raise ValueError(f"cross_entropy: the weight has shape {weight.shape}, but there are {classes} classes")
    kind = target.dtype.kind
    if kind in "iu" and target.dtype != dtypes.int64:
        target = ops.astype(target, dtypes.int64)  # ignore_index must fit: -100 is no uint8
    if kind in "iu":
        if target.shape != rows:
            raise ValueError(f"cross_entropy: class indices for an input of shape {shape} have shape {rows}, not {target.shape}")
    elif kind == "f":
        if target.shape != shape:
            raise ValueError(
                f"cross_entropy: a target of {target.dtype} is class probabilities, of the input's shape {shape}, not {target.shape}; "
                f"class indices are integers"
            )
    else:
        raise TypeError(f"cross_entropy: targets are class indices (integers) or probabilities (floats), not {target.dtype}")
    flat = _rows_of_classes(input)
    if kind in "iu":
        if len(rows) != 1:
            target = ops.reshape(target, (-1,) if target.size else (0,))
        return _from_indices(flat, target, weight, ignore_index, reduction, label_smoothing, rows)
    t = _rows_of_classes(target)
    if label_smoothing:
        t = t * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        t = t * weight
    divisor = {"mean": flat.shape[0], "sum": 1, "none": None}[reduction]
    loss = network.cross_entropy.call(flat, t, None, divisor)
    return ops.reshape(loss, rows) if reduction == "none" else loss


def _rows_of_classes(x: Variable) -> Variable:
    """(n, classes, d1, ...) or (classes,) as a matrix of rows of classes."""
    if x._native.ndim == 2:
        return x
    if x._native.ndim == 1:
        return ops.expand_dims(x, axis=0)
    moved = ops.moveaxis(x, 1, -1)
    return ops.reshape(moved, (x.size // x.shape[1] if x.shape[1] else 0, x.shape[1]))


def _from_indices(x: Variable, target: Variable, weight: Variable | None, ignore_index: int, reduction: str, smoothing: float,
                  rows: tuple[int, ...]) -> Variable:  # fmt: skip
    """Cross-entropy of rows of logits, (m, classes), and class indices, (m,)."""
    classes = x._native.shape[1]
    divisor: Any = None
    counts = target != ignore_index
    safe = ops.where(counts, target, ops.zeros_like(target))
    lowest, highest = extent(safe)
    if lowest is not None and highest is not None and (lowest < 0 or highest >= classes):
        raise IndexError(f"cross_entropy: class index {lowest if lowest < 0 else highest} is out of range for {classes} classes")
    row_weight = ops.astype(counts, x.dtype)
    if weight is not None:
        row_weight = ops.where(counts, ops.take(weight, safe, axis=0), ops.zeros_like(row_weight))
    if reduction == "mean":
        divisor = ops.sum(row_weight)._native  # an option: it has no gradient
    elif reduction == "sum":
        divisor = 1
    if smoothing:
        hot = ops.expand_dims(safe, axis=1) == ops.arange(classes, dtype=safe.dtype, device=safe.device)
        t = ops.astype(hot, x.dtype) * (1 - smoothing) + smoothing / classes
        if weight is not None:
            t = t * weight
        t = ops.where(ops.expand_dims(counts, axis=1), t, ops.zeros_like(t))
        loss = network.cross_entropy.call(x, t, None, divisor)
    else:
        loss = network.cross_entropy.call(x, safe, row_weight, divisor)
    return ops.reshape(loss, rows) if reduction == "none" else loss
