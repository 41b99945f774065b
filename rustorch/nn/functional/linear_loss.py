"""Cross-entropy of the outputs of a linear layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ... import ops
from .checks import adopt, floating
from .classification import cross_entropy
from .linear import linear

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["linear_cross_entropy"]


def linear_cross_entropy(
    input: ArrayLike,
    linear_weight: ArrayLike,
    target: ArrayLike,
    *,
    linear_bias: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
) -> Variable:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)``.

    Parameters
    ----------
    input : Variable or array, (in_features,) or (n, in_features)
    linear_weight : Variable or array, (classes, in_features) or (classes, d1, ..., in_features)
        With more than two dimensions each sample has the logits (classes, d1, ...), and the input must be
        (n, in_features).
    target : Variable or array
        Class indices, () or (n, d1, ...), or probabilities, (classes,) or (n, classes, d1, ...).
    linear_bias : Variable or array, (classes, d1, ...), optional
    weight, reduction, ignore_index, label_smoothing
        As in `cross_entropy`; an ``ignore_index`` of None is -100.
    options : None
        PyTorch's options to save memory. rustorch has none.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If shapes do not fit, or options are given.

    Examples
    --------
    >>> import rustorch
    >>> x, w = rustorch.tensor([[1.0, 0.0]]), rustorch.tensor([[0.0, 1.0], [0.0, 2.0]])
    >>> round(rustorch.nn.functional.linear_cross_entropy(x, w, rustorch.tensor([1])).item(), 4)
    0.6931
    """
    if options is not None:
        raise ValueError("linear_cross_entropy: options is None; rustorch has no options to save memory")
    input = floating(input, "linear_cross_entropy")
    linear_weight = adopt(linear_weight, "linear_cross_entropy", (input,))
    if input.ndim not in (1, 2) or linear_weight.ndim < 2 or (linear_weight.ndim > 2 and input.ndim == 1):
        raise ValueError(
            "linear_cross_entropy: the input has shape (in_features,) or (n, in_features), and the weight (classes, "
            f"in_features) or, for many samples, (classes, d1, ..., in_features), not {input.shape} and "
            f"{linear_weight.shape}"
        )
    *outputs, features = linear_weight.shape
    if linear_bias is not None:
        linear_bias = adopt(linear_bias, "linear_cross_entropy", (input,))
        if linear_bias.shape != tuple(outputs):
            raise ValueError(
                f"linear_cross_entropy: the bias has shape {linear_bias.shape}, but a weight of shape "
                f"{linear_weight.shape} needs {tuple(outputs)}"
            )
        linear_bias = ops.reshape(linear_bias, (prod(outputs),))
    logits = linear(input, ops.reshape(linear_weight, (prod(outputs), features)), linear_bias)
    logits = ops.reshape(logits, (*input.shape[:-1], *outputs))
    return cross_entropy(
        logits,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
