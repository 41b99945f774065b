"""Losses that compare an input with a target of the same shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import ops
from ...ops import network
from .checks import check_reduction, known, real, reduced, reduction_of
from .targets import counted, elements_weight, factor, finite_where_counted, pair, signs, weighed

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "hinge_embedding_loss", "huber_loss", "l1_loss",
    "mse_loss", "smooth_l1_loss", "soft_margin_loss",
]  # fmt: skip


def mse_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
) -> Variable:
    """The squared differences of input and target, or their mean or sum.

    Parameters
    ----------
    input, target : Variable or array
        Both have the same shape. The result has the wider one of two floating-point dtypes. Integers of the target are
        converted to the input's dtype.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
        The mean of nothing is nan.
    weight : Variable or array, of the input's shape, optional
        The weight of each element. "mean" divides by the sum of the weights. An infinite difference with a weight of 0
        is left out.

    Raises
    ------
    ValueError
        If the shapes differ. (Broadcasting (n, 1) against (n,) would compare each element with all others.)
    TypeError
        If input or target is complex, or the input is of integers.
    """
    reduction = reduction_of("mse_loss", reduction, size_average, reduce)
    input, target = pair("mse_loss", input, target, "iuf")
    if weight is not None:
        weight = elements_weight("mse_loss", weight, input)
        d = finite_where_counted(input - target, weight)
        return counted(d * d, weight, reduction)
    if reduction == "none" or not input.size:
        d = input - target
        return reduced(d * d, reduction)
    return network.mse.call(input, target, input.size if reduction == "mean" else 1)


def l1_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
) -> Variable:
    """The absolute differences of input and target, or their mean or sum. The gradient of a difference of 0 is 0.

    Parameters
    ----------
    input, target : Variable or array
        Both have the same shape; they may be complex.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
    weight : Variable or array, of the input's shape, optional
        The weight of each element. "mean" divides by the sum of the weights.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.l1_loss(rustorch.tensor([1.0, 5.0]), rustorch.tensor([2.0, 2.0])).item()
    2.0
    """
    reduction = reduction_of("l1_loss", reduction, size_average, reduce)
    input, target = pair("l1_loss", input, target, "iufc")
    losses = ops.abs(input - target)
    if weight is None:
        return reduced(losses, reduction)
    return counted(losses, elements_weight("l1_loss", weight, losses), reduction)


def smooth_l1_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Variable:
    """``d * d / (2 * beta)`` for differences d with ``abs(d) < beta``, ``abs(d) - beta / 2`` for others.

    Parameters
    ----------
    input, target : Variable or array
        Both have the same shape.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
    beta : float
        At least 0. With 0, or a number that is too small for the dtype, this is `l1_loss`.

    Raises
    ------
    ValueError
        If the shapes differ, or ``beta`` is negative.

    Source: Girshick, "Fast R-CNN", 2015, equation 3.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.smooth_l1_loss(rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0]), "none").tolist()
    [0.125, 2.5]
    """
    reduction = reduction_of("smooth_l1_loss", reduction, size_average, reduce)
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, not {beta}")
    input, target = pair("smooth_l1_loss", input, target, "iuf")
    limits = ops.finfo(input.dtype)
    d = input - target
    if beta < limits.smallest_normal:
        return reduced(ops.abs(d), reduction)
    if beta > limits.max:
        return reduced(d * (0.5 / beta) * d, reduction)
    if reduction == "none" or not d.size:
        return reduced(network.smooth_l1(d, float(beta)), reduction)
    return network.reduced_smooth_l1(d, float(beta), reduction)


def huber_loss(
    input: ArrayLike, target: ArrayLike, reduction: str = "mean", delta: float = 1.0, weight: ArrayLike | None = None
) -> Variable:
    """``d * d / 2`` for differences d with ``abs(d) < delta``, ``delta * (abs(d) - delta / 2)`` for others.

    Parameters
    ----------
    input, target : Variable or array
        Both have the same shape.
    reduction : {"mean", "sum", "none"}
    delta : float
        Positive.
    weight : Variable or array, of the input's shape, optional
        The weight of each element.

    Raises
    ------
    ValueError
        If the shapes differ, or ``delta`` is not positive.

    Source: Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0])
    >>> rustorch.nn.functional.huber_loss(x, y, "none", 2.0).tolist()
    [0.125, 4.0]
    """
    check_reduction("huber_loss", reduction)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is positive, not {delta}")
    input, target = pair("huber_loss", input, target, "iuf", to="input")
    d, delta = input - target, min(float(delta), ops.finfo(input.dtype).max)
    if weight is None and reduction != "none" and d.size:
        return network.reduced_huber(d, delta, reduction)
    losses = network.huber(d, delta)
    if weight is None:
        return reduced(losses, reduction)
    return counted(losses, elements_weight("huber_loss", weight, losses), reduction, average=False)


def _weighed(name: str, loss: Variable, weight: ArrayLike) -> Variable:
    """The losses times their weights, if there are weights."""
    return loss if weight is None else weighed(loss, factor(name, weight, loss))


def binary_cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``-y * log(x) - (1 - y) * log(1 - x)`` for probabilities x and y. A logarithm below -100 counts as -100.

    Parameters
    ----------
    input : Variable or array
        Probabilities, such as outputs of `sigmoid`. `binary_cross_entropy_with_logits` takes the inputs of the sigmoid
        instead, and is more precise.
    target : Variable or array, of the input's shape
        Probabilities, usually 0 and 1.
    weight : Variable or array, optional
        The weight of each element; its shape broadcasts to the input's.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    TypeError
        If the dtypes of input and target differ.
    ValueError
        If an input or target is outside [0, 1] and can be read without waiting, or shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.binary_cross_entropy(rustorch.tensor([0.0, 1.0]), rustorch.tensor([1.0, 1.0])).item()
    50.0
    """
    name = "binary_cross_entropy"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input, target = pair(name, input, target, to="none")
    for x, words in ((input, "inputs are"), (target, "targets are")):
        if known(x, lambda v: ops.logical_or(v < 0, v > 1)):
            instead = "; for logits there is binary_cross_entropy_with_logits" if x is input else ""
            raise ValueError(f"{name}: {words} probabilities, in [0, 1]{instead}")
    if weight is None and reduction != "none" and input.size:
        return network.reduced_binary_cross_entropy(input, target, reduction)
    return reduced(_weighed(name, network.binary_cross_entropy(input, target), weight), reduction)


def binary_cross_entropy_with_logits(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> Variable:
    """``-p * y * log(sigmoid(x)) - (1 - y) * log(1 - sigmoid(x))``, without overflow for any x.

    Parameters
    ----------
    input : Variable or array
        Logits.
    target : Variable or array, of the input's shape
        Probabilities, usually 0 and 1.
    weight : Variable or array, optional
        The weight of each element; its shape broadcasts to the input's.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : {"mean", "sum", "none"}
    pos_weight : Variable or array, optional
        The p of the equation, the weight of targets of 1; its shape broadcasts to the input's.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([-1000.0, 1000.0]), rustorch.tensor([1.0, 1.0])
    >>> rustorch.nn.functional.binary_cross_entropy_with_logits(x, y).item()
    500.0
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input, target = pair(name, input, target)
    positive = None if pos_weight is None else factor(name, pos_weight, input, "pos_weight")
    if weight is None and reduction != "none" and input.size:
        return network.reduced_binary_cross_entropy_with_logits(input, target, positive, reduction)
    return reduced(_weighed(name, network.binary_cross_entropy_with_logits(input, target, positive), weight), reduction)


def soft_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``log(1 + exp(-y * x))`` for targets y of 1 and -1.

    Parameters
    ----------
    input, target : Variable or array
        Both have the same shape; the target may be of integers.
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
    >>> rustorch.nn.functional.soft_margin_loss(rustorch.tensor([-1000.0, 1000.0]), rustorch.tensor([1, 1])).item()
    500.0
    """
    name = "soft_margin_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input = real(input, name)
    input, target = pair(name, input, signs(name, target, input))
    return reduced(-network.log_sigmoid(input * target), reduction)


def hinge_embedding_loss(
    input: ArrayLike,
    target: ArrayLike,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Variable:
    """``x`` for targets of 1, ``max(0, margin - x)`` for targets of -1. The input x is a distance of two samples.

    Parameters
    ----------
    input, target : Variable or array
        Both have the same shape; the target may be of integers.
    margin : float
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
    >>> x, y = rustorch.tensor([2.0, 0.5]), rustorch.tensor([1, -1])
    >>> rustorch.nn.functional.hinge_embedding_loss(x, y, reduction="none").tolist()
    [2.0, 0.5]
    """
    name = "hinge_embedding_loss"
    reduction = reduction_of(name, reduction, size_average, reduce)
    input = real(input, name)
    input, target = pair(name, input, signs(name, target, input))
    zero = ops.zeros_like(input)
    loss = ops.where(target == 1, zero, ops.clip(margin - input, min=0)) + ops.where(target == -1, zero, input)
    return reduced(loss, reduction)
