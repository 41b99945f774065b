"""Losses of classes: scores against class indices, or against probabilities of the classes."""

from __future__ import annotations

from typing import Any

from ..rustorch_names import reduction_first
from ..variable import Variable
from . import functional as F
from .functional.sizes import tuple_of
from .loss import Loss

__all__ = [
    "CTCLoss",
    "CrossEntropyLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
]


class CrossEntropyLoss(Loss):
    """Cross-entropy between logits and classes; see `rustorch.nn.functional.cross_entropy` for shapes.

    Parameters
    ----------
    weight : Variable or array, (classes,), optional
        What each class counts.
    ignore_index : int
        Targets of this index count nothing.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        Probability that is spread evenly over the classes.
    device, dtype : optional
        Of the weight.
    """

    weight: Variable | None

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        weight, reduction = reduction_first(weight, reduction)
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing is in [0, 1], not {label_smoothing}")
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of logits (n, classes, ...) and target: class indices (n, ...), or probabilities of the input's
        shape.
        """
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """Minus the entry of the target's class; see `rustorch.nn.functional.nll_loss` for shapes.

    Parameters
    ----------
    weight : Variable or array, (classes,), optional
        What each class counts.
    ignore_index : int
        Targets of this index count nothing.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.NLLLoss()(rustorch.tensor([[-1.0, -2.0]]), rustorch.tensor([1])).item()
    2.0
    """

    weight: Variable | None

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of log-probabilities (n, classes, ...) and target, class indices (n, ...)."""
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MultiMarginLoss(Loss):
    """A hinge for classes; see `rustorch.nn.functional.multi_margin_loss`.

    Parameters
    ----------
    p : {1, 2}
        The power of the hinge.
    margin : float
    weight : Variable or array, (classes,), optional
        What each class counts.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.MultiMarginLoss()(rustorch.tensor([[0.0, 1.0, 3.0]]), rustorch.tensor([1])).item()
    1.0
    """

    weight: Variable | None

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p is 1 or 2, not {p!r}")
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.p = p
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of scores (n, classes) and target, class indices (n,)."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """A hinge between classes that apply and classes that do not; see `rustorch.nn.functional.multilabel_margin_loss`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[0.25, 0.5, 0.5, 1.0]])
    >>> rustorch.MultiLabelMarginLoss()(x, rustorch.tensor([[3, 0, -1, 1]])).item()
    0.875
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of scores (n, classes) and target: each row has its class indices, then -1."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over the classes of ``-y * log(sigmoid(x)) - (1 - y) * log(sigmoid(-x))``.

    Parameters
    ----------
    weight : Variable or array, (classes,), optional
        What each class counts.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.MultiLabelSoftMarginLoss()(rustorch.tensor([[1000.0, -1000.0]]), rustorch.tensor([[1.0, 1.0]])).item()
    500.0
    """

    weight: Variable | None

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of logits (n, classes) and target, 0 or 1 for each."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class CTCLoss(Loss):
    """Connectionist temporal classification: see `rustorch.nn.functional.ctc_loss` for shapes.

    Parameters
    ----------
    blank : int
        The class that stands for no label.
    reduction : {"mean", "sum", "none"}
        "mean" divides each loss by the target's length, and takes the mean.
    zero_infinity : bool
        Whether a sample that cannot be aligned counts 0.

    Examples
    --------
    >>> import rustorch
    >>> logs = rustorch.log(rustorch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]]))
    >>> loss = rustorch.CTCLoss()(logs, rustorch.tensor([[1]]), (2,), (1,))
    >>> round(rustorch.exp(-loss).item(), 4)
    0.75
    """

    def __init__(
        self,
        blank: int = 0,
        reduction: str = "mean",
        zero_infinity: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        tuple_of("CTCLoss", "blank", blank, 1, 0)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        """The loss of log-probabilities (steps, batch, classes) and targets (batch, longest), with the
        lengths of both.
        """
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
