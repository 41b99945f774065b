"""Losses of classes: scores against class indices, or against probabilities of the classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.check import adopt
from ...autograd.graph import VARIABLES
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import readable, within
from ...variable import Variable
from .checks import real, reduced, reduction_of
from .targets import (
    broadcast_weight,
    check_classes,
    class_indices,
    class_weight,
    finite_where_counted,
    of_nothing,
    pair,
    together,
    weighed,
)

if TYPE_CHECKING:
    from ...typing import ArrayLike


__all__ = ["cross_entropy", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss"]


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
        Logits: not normalised, of any size (it is stable for 1e4).
    target : Variable or array
        Class indices, integers of the input's shape without the dimension of classes; or class probabilities, floats of
        the input's shape.
    weight : Variable or array, (classes,), optional
        What each class counts.
    ignore_index : int
        Targets of this index count nothing, whatever their logits are. For class indices only; probabilities take
        negative ones.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the weights of the targets; for probabilities, by their number. Where nothing
        counts, it is nan, and its gradient 0.
    label_smoothing : float
        Probability that is spread evenly over the classes, in [0, 1].

    Returns
    -------
    Variable
        Of shape (), or with "none" of the shape of class indices.

    Raises
    ------
    IndexError
        If a class index is out of range. (On "cuda" and under tracing nobody reads the indices, for that means to wait;
        on "cuda" the loss of such a row is nan.)
    ValueError
        If shapes do not fit, an option is out of range, or ``ignore_index`` is not negative for probabilities.
    TypeError
        If the target is boolean, or the weight of another dtype than the logits of class indices.
    """
    plain = weight is None and size_average is None and reduce is None and not label_smoothing and reduction == "mean"
    if plain and type(input) in VARIABLES and type(target) in VARIABLES:
        # the usual case: a matrix of logits, an index for every row, and every row counts 1
        logits, indices = input._native, target._native
        if logits.ndim == 2 and indices.shape == logits.shape[:1]:
            classes = logits.shape[1]
            if not 0 <= ignore_index < classes and within(target, classes) and dtypes.is_floating(input.dtype):
                return network.cross_entropy.call(input, target, None, None, "mean")
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
        target = ops.astype(target, dtypes.int64)  # ignore_index must fit: -100 is no uint8
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
                "cross_entropy: ignore_index is not supported for a floating point target, class probabilities; it is "
                f"{ignore_index}, and without it (or with a negative one) no row is ignored"
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
        t = ops.astype(hot, x.dtype) * (1 - smoothing) + smoothing / classes
        if weight is not None:
            t = t * weight
        counts = ops.expand_dims(target != ignore_index, axis=1)
        t = ops.where(counts, t, ops.zeros_like(t))
        if not readable(target):
            t = ops.where(ops.expand_dims(ops.isnan(each), axis=1), ops.expand_dims(each, axis=1), t)
        x = ops.where(counts, x, ops.zeros_like(x))  # nan in an ignored row stays there
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
    """Minus the entry of the target's class: with log-probabilities, as of `log_softmax`, the negative log-likelihood.

    Parameters
    ----------
    input : Variable or array, (classes,), (n, classes) or (n, classes, d1, ...)
        Log-probabilities.
    target : Variable or array
        Class indices, of the input's shape without the dimension of classes.
    weight : Variable or array, (classes,), optional
        What each class counts.
    ignore_index : int
        Targets of this index count nothing.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
        "mean" divides by the sum of the weights of the targets; where nothing counts, it is nan, and its gradient 0.

    Returns
    -------
    Variable
        Of shape (), or with "none" of the shape of the target.

    Raises
    ------
    IndexError
        If a class index is known to be out of range.
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
    # an ignored row must not spread its nan or infinity: select, then weigh
    loss = -ops.where(row_weight != 0, taken, ops.zeros_like(taken)) * row_weight
    if reduction == "none":
        return ops.reshape(loss, rows)
    return network.quotient(ops.sum(loss), ops.sum(row_weight)) if reduction == "mean" else ops.sum(loss)


def _one_or_more(name: str, input: ArrayLike) -> tuple[Variable, bool]:
    """Rows of classes, (n, classes), and whether (classes,) or a number was given."""
    input = real(input, name)
    if input.ndim > 2 or not all(input.shape[-1:]):
        raise ValueError(
            f"{name}: the input is (classes,) or (n, classes), not of shape {input.shape}, and has a class"
        )
    return (ops.reshape(input, (1, input.size)), True) if input.ndim < 2 else (input, False)


def _of_rows(loss: Variable, alone: bool, reduction: str) -> Variable:
    """The reduced losses of rows; of a row that came alone, without its dimension."""
    return ops.reshape(loss, ()) if alone and reduction == "none" else reduced(loss, reduction)


def multi_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    p: int = 1,
    margin: float = 1.0,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``sum(max(0, margin - x[y] + x[i]) ** p) / classes`` over the classes i other than the target's y: a hinge for
    classes.

    Parameters
    ----------
    input : Variable or array, (classes,) or (n, classes)
        Scores.
    target : Variable or array, () or (n,)
        Class indices.
    p : {1, 2}
    margin : float
    weight : Variable or array, (classes,), optional
        What each class counts, as a target.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    IndexError
        If a class index is known to be out of range.
    ValueError
        If shapes do not fit, or ``p`` is neither.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[0.0, 1.0, 3.0]])
    >>> rustorch.nn.functional.multi_margin_loss(x, rustorch.tensor([1])).item()
    1.0
    """
    reduction = reduction_of("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p is 1 or 2, not {p!r}")
    x, alone = _one_or_more("multi_margin_loss", input)
    rows, classes = x.shape
    weight = class_weight("multi_margin_loss", weight, x, classes)
    target = adopt(target, "multi_margin_loss", (x,))
    if alone and target.shape == ():
        target = ops.reshape(target, (1,))
    target = class_indices("multi_margin_loss", target, x, (rows,))
    check_classes("multi_margin_loss", target, classes)
    places = ops.expand_dims(target, axis=1)
    own = places == ops.arange(classes, dtype=target.dtype, device=target.device)
    others = ops.where(own, ops.zeros_like(x), x)  # an infinite score minus itself is nan
    z = network.relu(margin - (ops.take_along_axis(x, places, axis=1) - others))
    z = ops.where(own, ops.zeros_like(z), z)
    each = None if weight is None else ops.expand_dims(ops.take(weight, target, axis=0), axis=1)
    if p == 2:
        z = z if each is None else finite_where_counted(z, each)
        z = z * z
    z = z if each is None else weighed(z, each)
    return _of_rows(ops.sum(z, axis=1) / classes, alone, reduction)


def multilabel_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``sum(max(0, 1 - x[y] + x[i])) / classes`` over all target classes y and all other classes i.

    Parameters
    ----------
    input : Variable or array, (classes,) or (n, classes)
        Scores.
    target : Variable or array, of the input's shape
        Class indices, in every row as many as there are, then -1; what comes after it counts nothing.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    IndexError
        If a class index is known to be out of range.
    TypeError
        If the target is not of integers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[0.25, 0.5, 0.5, 1.0]])
    >>> rustorch.nn.functional.multilabel_margin_loss(x, rustorch.tensor([[3, 0, -1, 1]])).item()
    0.875
    """
    reduction = reduction_of("multilabel_margin_loss", reduction, size_average, reduce)
    x, alone = _one_or_more("multilabel_margin_loss", input)
    target = adopt(target, "multilabel_margin_loss", (x,))
    if alone and target.size == x.size and target.ndim < 2:  # a number may come as () or (1,)
        target = ops.reshape(target, x.shape)
    target = class_indices("multilabel_margin_loss", target, x, x.shape)
    classes = x.shape[1]
    given = ops.cumulative_sum(ops.astype(target < 0, dtypes.int64), axis=1) == 0
    safe = ops.where(given, target, ops.zeros_like(target))
    check_classes("multilabel_margin_loss", ops.where(target == -1, ops.zeros_like(target), target), classes)
    hot = ops.expand_dims(safe, axis=2) == ops.arange(classes, dtype=safe.dtype, device=safe.device)
    is_target = ops.any(ops.logical_and(hot, ops.expand_dims(given, axis=2)), axis=1)
    others = ops.expand_dims(
        ops.where(is_target, ops.zeros_like(x), x), axis=1
    )  # an infinite score minus itself is nan
    z = network.relu(1 - (ops.expand_dims(ops.take_along_axis(x, safe, axis=1), axis=2) - others))
    pairs = ops.logical_and(ops.expand_dims(given, axis=2), ops.logical_not(ops.expand_dims(is_target, axis=1)))
    return _of_rows(ops.sum(ops.where(pairs, z, ops.zeros_like(z)), axis=(1, 2)) / classes, alone, reduction)


def multilabel_soft_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """The mean over the classes of ``-y * log(sigmoid(x)) - (1 - y) * log(sigmoid(-x))``.

    Parameters
    ----------
    input, target : Variable or array, (..., classes)
        Scores, and which of the classes apply, as 0 and 1; integers, too.
    weight : Variable or array, (classes,), optional
        What each class counts; any shape that broadcasts with the input's, as (n, classes), is taken.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[1000.0, -1000.0]])
    >>> rustorch.nn.functional.multilabel_soft_margin_loss(x, rustorch.tensor([[1.0, 1.0]])).item()
    500.0
    """
    name = "multilabel_soft_margin_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input, target = pair(name, input, target, "iuf")
    if not input.ndim:
        raise ValueError(f"{name}: the input needs a dimension of classes")
    loss = network.binary_cross_entropy_with_logits(input, target, None)
    if weight is not None:
        loss = weighed(loss, broadcast_weight(name, weight, loss))
    if not loss.shape[-1]:
        return reduced(ops.sum(loss, axis=-1) * math.nan, reduction)
    return reduced(ops.mean(loss, axis=-1), reduction)
