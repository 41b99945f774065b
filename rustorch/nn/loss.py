"""Losses: how far an output is from its target."""

from __future__ import annotations

from typing import Any

from ..variable import Variable
from . import functional as F
from .functional.checks import check_reduction
from .module import Stateless

__all__ = ["CrossEntropyLoss", "MSELoss"]


class _Loss(Stateless):
    def __init__(self, reduction: str, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        check_reduction(type(self).__name__, reduction)
        self.reduction = reduction


class MSELoss(_Loss):
    """Squared differences between an input and a target of its shape.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, reduction: str = "mean", *, device: str | None = None, dtype: Any = None):
        super().__init__(reduction, device=device, dtype=dtype)

    def forward(self, input: Any, target: Any) -> Any:
        return F.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(_Loss):
    """Cross-entropy between logits and classes; see `rustorch.nn.functional.cross_entropy` for shapes.

    Parameters
    ----------
    weight : Variable or array, (classes,), optional
        What each class counts. A string here is the reduction.
    ignore_index : int
        Targets of this index count nothing.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        Probability that is spread evenly over the classes.
    device, dtype : optional
        Of the weight.
    """

    weight: Variable | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0, *,
                 device: str | None = None, dtype: Any = None):  # fmt: skip
        if isinstance(weight, str):  # CrossEntropyLoss("sum"): reduction is the first argument of the bindings' class
            weight, reduction = None, weight
        super().__init__(reduction, device=device, dtype=dtype)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing is in [0, 1], not {label_smoothing}")
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return F.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)
