"""A linear layer and the cross-entropy of its output in one module."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from .. import ops
from ..variable import Variable
from . import functional as F
from .functional.checks import check_reduction
from .linear import Linear
from .module import Module

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike

__all__ = ["LinearCrossEntropyLoss"]


class LinearCrossEntropyLoss(Module):
    """A linear layer that computes logits, and their cross-entropy with the target.

    Parameters
    ----------
    in_features, num_classes : int
    out_features : tuple of int
        Further dimensions: the logits of each sample have the shape ``(num_classes, *out_features)``.
    bias : bool
        Whether the linear layer has a bias.
    device, dtype : optional
        Of the parameters.
    reduction : {"mean", "sum", "none"}
    weight : Variable or array, (num_classes,), optional
        The weight of each class.
    ignore_index : int, optional
        Targets of this index are ignored. None stands for -100.
    label_smoothing : float
        Probability that is spread evenly over the classes, in [0, 1].
    options : None
        PyTorch's options to save memory. Only None is accepted.

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
        dtype: DTypeLike = None,
        reduction: str = "mean",
        weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ):
        super().__init__()
        check_reduction(type(self).__name__, reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{type(self).__name__}: label_smoothing is in [0, 1], not {label_smoothing}")
        if options is not None:
            raise ValueError(
                f"{type(self).__name__}: options choose how PyTorch saves memory; the only one here is None"
            )
        class_weight = None if weight is None else Variable(weight, device=device, dtype=dtype)
        if class_weight is not None and class_weight.shape != (num_classes,):
            raise ValueError(
                f"{type(self).__name__}: the weight has shape {class_weight.shape}, but there are {num_classes} classes"
            )
        self.register_buffer("weight", class_weight)
        self.reduction = reduction
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.linear = Linear(in_features, num_classes * prod(self.out_features), bias, device=device, dtype=dtype)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input: (N, in_features); target: (N, ...) -> (), or with reduction="none" (N, ...).

        The dots are ``out_features``. The target holds class indices, or the probabilities of the classes:
        (N, num_classes, ...). One sample may come without N.
        """
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
