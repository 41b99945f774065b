"""Losses with margins: hinges for one class or several classes of each sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ... import ops
from ...backends import dtypes
from ...ops import network
from .checks import adopt, real, reduced, reduction_of
from .targets import (
    broadcast_weight,
    check_classes,
    class_indices,
    class_weight,
    finite_where_counted,
    pair,
    weighed,
)

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss"]


def _rows(name: str, input: ArrayLike) -> tuple[Variable, bool]:
    """The input as rows, (n, classes), and whether it was one row without n: (classes,) or ()."""
    input = real(input, name)
    if input.ndim > 2 or not all(input.shape[-1:]):
        raise ValueError(
            f"{name}: the input is (classes,) or (n, classes) with at least one class, not of shape {input.shape}"
        )
    return (ops.reshape(input, (1, input.size)), True) if input.ndim < 2 else (input, False)


def _reduced_rows(loss: Variable, alone: bool, reduction: str) -> Variable:
    """The reduced losses of rows; without their dimension if the input was one row without n."""
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
    """``sum(max(0, margin - x[y] + x[i]) ** p) / classes`` over all classes i except the target's class y.

    Parameters
    ----------
    input : Variable or array, (classes,) or (n, classes)
        Scores.
    target : Variable or array, () or (n,)
        Class indices.
    p : {1, 2}
    margin : float
    weight : Variable or array, (classes,), optional
        The weight of each class, for rows with this target.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    IndexError
        If a class index is out of range and can be read without waiting.
    ValueError
        If shapes do not fit, or ``p`` is neither 1 nor 2.

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
    x, alone = _rows("multi_margin_loss", input)
    rows, classes = x.shape
    weight = class_weight("multi_margin_loss", weight, x, classes)
    target = adopt(target, "multi_margin_loss", (x,))
    if alone and target.shape == ():
        target = ops.reshape(target, (1,))
    target = class_indices("multi_margin_loss", target, x, (rows,))
    check_classes("multi_margin_loss", target, classes)
    places = ops.expand_dims(target, axis=1)
    own = places == ops.arange(classes, dtype=target.dtype, device=target.device)
    others = ops.where(own, ops.zeros_like(x), x)  # because an infinite score minus itself is nan
    z = network.relu(margin - (ops.take_along_axis(x, places, axis=1) - others))
    z = ops.where(own, ops.zeros_like(z), z)
    each = None if weight is None else ops.expand_dims(ops.take(weight, target, axis=0), axis=1)
    if p == 2:
        z = z if each is None else finite_where_counted(z, each)
        z = z * z
    z = z if each is None else weighed(z, each)
    return _reduced_rows(ops.sum(z, axis=1) / classes, alone, reduction)


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
        Class indices. In each row they end at the first -1; what follows is ignored.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

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
    >>> x = rustorch.tensor([[0.25, 0.5, 0.5, 1.0]])
    >>> rustorch.nn.functional.multilabel_margin_loss(x, rustorch.tensor([[3, 0, -1, 1]])).item()
    0.875
    """
    reduction = reduction_of("multilabel_margin_loss", reduction, size_average, reduce)
    x, alone = _rows("multilabel_margin_loss", input)
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
    # because an infinite score minus itself is nan
    others = ops.expand_dims(ops.where(is_target, ops.zeros_like(x), x), axis=1)
    z = network.relu(1 - (ops.expand_dims(ops.take_along_axis(x, safe, axis=1), axis=2) - others))
    pairs = ops.logical_and(ops.expand_dims(given, axis=2), ops.logical_not(ops.expand_dims(is_target, axis=1)))
    return _reduced_rows(ops.sum(ops.where(pairs, z, ops.zeros_like(z)), axis=(1, 2)) / classes, alone, reduction)


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
        Scores, and 1 for each class that applies, else 0. The target may be of integers.
    weight : Variable or array, (classes,), optional
        The weight of each class. Other shapes that broadcast with the input's are allowed, such as (n, classes).
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
