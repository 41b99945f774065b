"""Losses of classifications: cross-entropy and negative log-likelihood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.graph import VARIABLES
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import readable, within
from .checks import adopt, real, reduction_of
from .targets import (
    check_classes,
    class_indices,
    class_weight,
    of_nothing,
    together,
)

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["cross_entropy", "nll_loss"]


def cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Variable:
    """Cross-entropy between logits and classes: ``-sum(t * log_softmax(input))``.

    Parameters
    ----------
    input : Variable or array, (classes,), (n, classes) or (n, classes, d1, ...)
        Logits. They need not be normalized, and may be as large as 1e4.
    target : Variable or array
        Class indices: integers, of the input's shape without the dimension of classes. Or class probabilities: floats,
        of the input's shape.
    weight : Variable or array, (classes,), optional
        The weight of each class.
    ignore_index : int
        Rows whose target is this class index are ignored. For class probabilities it must be negative, and no row is
        ignored.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the weights of the targets; for class probabilities, by the number of rows. If all
        rows are ignored, it is nan, and its gradient is 0.
    label_smoothing : float
        The share of probability that is spread evenly over all classes, in [0, 1].

    Returns
    -------
    Variable
        Its shape is (), or with "none" the shape of class indices.

    Raises
    ------
    IndexError
        If a class index is out of range. (On "cuda" and under tracing the indices are not read, because the program
        would have to wait. On "cuda" the loss of such a row is nan.)
    ValueError
        If shapes do not fit, an option is out of range, or ``ignore_index`` is at least 0 for class probabilities.
    TypeError
        If the target is boolean; or for class indices, if the weight has another dtype than the logits.
    """
    plain = weight is None and size_average is None and reduce is None and not label_smoothing and reduction == "mean"
    x: Any = input
    indices: Any = target
    if plain and type(x) in VARIABLES and type(indices) in VARIABLES:
        # the usual case: a matrix of logits and one class index for each row, without weights or ignored rows
        logits = x._native
        if logits.ndim == 2 and indices._native.shape == logits.shape[:1]:
            classes = logits.shape[1]
            floating = logits.dtype is dtypes.float32 or dtypes.is_floating(x.dtype)
            if floating and not 0 <= ignore_index < classes and within(indices, classes):
                return network.cross_entropy.call(x, indices, None, None, "mean")
    reduction = reduction_of("cross_entropy", reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is in [0, 1], not {label_smoothing}")
    input, target = adopt(input, "cross_entropy", (target,)), adopt(target, "cross_entropy", (input,))
    shape = real(input, "cross_entropy").shape
    if not shape:
        raise ValueError("cross_entropy: the input needs a dimension of classes")
    rows, classes = (shape[:1], shape[0]) if len(shape) == 1 else (shape[:1] + shape[2:], shape[1])
    rows = () if len(shape) == 1 else rows
    kind = target.dtype.kind
    weight = class_weight("cross_entropy", weight, input, classes, exact=kind != "f")
    if kind in "iu" and target.dtype != dtypes.int64:
        target = ops.astype(target, dtypes.int64)  # so that ignore_index fits: -100 is no uint8
    if kind in "iu":
        if target.shape != rows:
            raise ValueError(
                f"cross_entropy: class indices for an input of shape {shape} have shape {rows}, not {target.shape}"
            )
    elif kind == "f":
        if target.shape != shape:
            raise ValueError(
                f"cross_entropy: a target of {target.dtype} is class probabilities, of the input's shape {shape}, not "
                f"{target.shape}; class indices are integers"
            )
        if ignore_index >= 0:
            raise ValueError(
                "cross_entropy: ignore_index is not supported for class probabilities, a target of floating-point "
                f"numbers; leave it away, or make it negative instead of {ignore_index}"
            )
    else:
        raise TypeError(
            f"cross_entropy: targets are class indices (integers) or probabilities (floats), not {target.dtype}"
        )
    flat = _rows_of_classes(input)
    if kind in "iu":
        if len(rows) != 1:
            target = ops.reshape(target, (-1,) if target.size else (0,))
        return _from_indices(flat, target, weight, ignore_index, reduction, label_smoothing, rows)
    if not flat.size:
        loss = of_nothing(flat, reduction)
        return ops.reshape(loss, rows) if reduction == "none" else loss
    flat, t = together("cross_entropy", "target", flat, _rows_of_classes(target))
    if label_smoothing:
        t = t * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        flat, weight = together("cross_entropy", "weight", flat, weight)
        t = t * weight
    loss = network.cross_entropy.call(flat, t, None, None, reduction)
    return ops.reshape(loss, rows) if reduction == "none" else loss


def _rows_of_classes(x: Variable) -> Variable:
    """(n, classes, d1, ...) or (classes,) as a matrix of rows of classes."""
    if x._native.ndim == 2:
        return x
    if x._native.ndim == 1:
        return ops.expand_dims(x, axis=0)
    moved = ops.moveaxis(x, 1, -1)
    return ops.reshape(moved, (x.size // x.shape[1] if x.shape[1] else 0, x.shape[1]))


def _from_indices(
    x: Variable,
    target: Variable,
    weight: Variable | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
    rows: tuple[int, ...],
) -> Variable:
    """Cross-entropy of rows of logits, (m, classes), and class indices, (m,)."""
    classes = x._native.shape[1]
    if not x.size:
        check_classes("cross_entropy", target, classes, ignore_index)
        loss = of_nothing(x, reduction)
    elif smoothing:
        safe, each = _counted("cross_entropy", x, target, weight, ignore_index)
        hot = ops.expand_dims(safe, axis=1) == ops.arange(classes, dtype=safe.dtype, device=safe.device)
        share = smoothing / classes
        t = ops.where(hot, *[ops.full((), n, dtype=x.dtype, device=x.device) for n in (1 - smoothing + share, share)])
        if weight is not None:
            t = t * weight
        counts = ops.expand_dims(target != ignore_index, axis=1)
        if 0 <= ignore_index < classes or not within(target, classes):  # else every row counts
            t = ops.where(counts, t, ops.zeros_like(t))
            x = ops.where(counts, x, ops.zeros_like(x))  # a nan in an ignored row must not reach the sum
        if not readable(target):
            t = ops.where(ops.expand_dims(ops.isnan(each), axis=1), ops.expand_dims(each, axis=1), t)
        loss = network.cross_entropy.call(x, t, None, None, "none" if reduction == "none" else "sum")
        if reduction == "mean":
            loss = network.quotient(loss, ops.sum(each))
    else:
        check_classes("cross_entropy", target, classes, ignore_index)
        loss = network.cross_entropy.call(x, target, weight, ignore_index, reduction)
    return ops.reshape(loss, rows) if reduction == "none" else loss


def _counted(
    name: str, x: Variable, target: Variable, weight: Variable | None, ignore_index: int
) -> tuple[Variable, Variable]:
    """The class of each row, 0 for ignored rows, and the weight of each row, 0 for ignored rows.

    Where reading the classes would make the program wait, a row without a valid class has the weight nan.
    """
    classes = x._native.shape[1]
    check_classes(name, target, classes, ignore_index)
    counts = target != ignore_index
    safe = ops.where(counts, target, ops.zeros_like(target))
    if weight is None:
        each = ops.astype(counts, x.dtype)
    else:
        each = ops.take(weight, safe, axis=0)
        each = ops.where(counts, each, ops.zeros_like(each))
    if not readable(target):
        known = ops.logical_and(safe >= 0, safe < classes)
        each = ops.where(known, each, ops.full_like(each, math.nan))
    return safe, each


def nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """The negative log-likelihood of the target's class: minus its entry among log-probabilities.

    Parameters
    ----------
    input : Variable or array, (classes,), (n, classes) or (n, classes, d1, ...)
        Log-probabilities, such as outputs of `log_softmax`.
    target : Variable or array
        Class indices, of the input's shape without the dimension of classes.
    weight : Variable or array, (classes,), optional
        The weight of each class.
    ignore_index : int
        Rows whose target is this class index are ignored.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the weights of the targets. If all rows are ignored, it is nan, and its gradient
        is 0.

    Returns
    -------
    Variable
        Its shape is (), or with "none" the target's shape.

    Raises
    ------
    IndexError
        If a class index is out of range and can be read without waiting.
    TypeError
        If the target is not of integers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> logs = rustorch.log(rustorch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    >>> round(rustorch.nn.functional.nll_loss(logs, rustorch.tensor([1, 0])).item(), 4)
    0.4904
    """
    reduction = reduction_of("nll_loss", reduction, size_average, reduce)
    input = real(input, "nll_loss")
    shape = input.shape
    if not shape:
        raise ValueError("nll_loss: the input needs a dimension of classes")
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    flat = _rows_of_classes(input)
    weight = class_weight("nll_loss", weight, input, flat.shape[1])
    target = class_indices("nll_loss", target, input, rows)
    target = ops.reshape(target, (flat.shape[0],))
    if not flat.size:
        check_classes("nll_loss", target, flat.shape[1], ignore_index)
        loss = of_nothing(flat, reduction)
        return ops.reshape(loss, rows) if reduction == "none" else loss
    safe, row_weight = _counted("nll_loss", flat, target, weight, ignore_index)
    taken = ops.squeeze(ops.take_along_axis(flat, ops.expand_dims(safe, axis=1), axis=1), axis=1)
    # an ignored row may hold nan or infinity: replace it before the product with its weight, which is 0
    loss = -ops.where(row_weight != 0, taken, ops.zeros_like(taken)) * row_weight
    if reduction == "none":
        return ops.reshape(loss, rows)
    return network.quotient(ops.sum(loss), ops.sum(row_weight)) if reduction == "mean" else ops.sum(loss)
