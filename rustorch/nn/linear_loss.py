"""An affine map and the cross-entropy of what it makes, in one module."""

from __future__ import annotations

from math import prod
from typing import Any

from .. import ops
from ..variable import Variable
from . import functional as F
from .functional.checks import check_reduction
from .linear import Linear
from .module import Module

__all__ = ["LinearCrossEntropyLoss"]


class LinearCrossEntropyLoss(Module):
    """Cross-entropy between logits, which it computes from its input, and classes.

    Parameters
    ----------
    in_features, num_classes : int
    out_features : tuple of int
        Further dimensions of each sample's logits, (num_classes, *out_features).
    bias : bool
        Whether the affine map has one.
    device, dtype : optional
        Of the parameters.
    reduction : {"mean", "sum", "none"}
    weight : Variable or array, (num_classes,), optional
        What each class counts.
    ignore_index : int, optional
        Targets of this index count nothing; None is -100.
    label_smoothing : float
        Probability that is spread evenly over the classes, in [0, 1].
    options : None
        PyTorch's ways to save memory; there are none here.

    Attributes
    ----------
    linear : Linear
        Its weight has shape (num_classes * prod(out_features), in_features).

    Raises
    ------
    ValueError
        If the weight has another shape, or an option is out of range.

    Examples
    --------
    >>> import rustorch
    >>> loss_of = rustorch.nn.LinearCrossEntropyLoss(4, 3)
    >>> loss_of(rustorch.ones((2, 4)), rustorch.tensor([0, 2])).shape
    ()
    """

    weight: Variable | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: str | None = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ):
        super().__init__()
        check_reduction("LinearCrossEntropyLoss", reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"LinearCrossEntropyLoss: label_smoothing is in [0, 1], not {label_smoothing}")
        if options is not None:
            raise ValueError(
                "LinearCrossEntropyLoss: options choose how PyTorch saves memory; the only one here is None"
            )
        weight = None if weight is None else Variable(weight, device=device, dtype=dtype)
        if weight is not None and weight.shape != (num_classes,):
            raise ValueError(
                f"LinearCrossEntropyLoss: the weight has shape {weight.shape}, but there are {num_classes} classes"
            )
        self.register_buffer("weight", weight)
        self.reduction = reduction
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.linear = Linear(in_features, num_classes * prod(self.out_features), bias, device=device, dtype=dtype)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input (n, in_features) and target, class indices or probabilities."""
        outputs, linear = (self.num_classes, *self.out_features), self.linear
        return F.linear_cross_entropy(
            input,
            ops.reshape(linear.weight, (*outputs, linear.in_features)),
            target,
            linear_bias=None if linear.bias is None else ops.reshape(linear.bias, outputs),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
