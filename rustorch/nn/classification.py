"""Losses of classification: scores of classes and the right class, or the probability of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..rustorch_names import reduction_first
from ..variable import Variable
from . import functional as F
from .functional.sizes import tuple_of
from .loss import Loss

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike

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
        The weight of each class.
    ignore_index : int
        Targets of this index are ignored.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        The probability that is spread evenly over all classes.
    device, dtype : optional
        Of the weight.
    """

    weight: Variable | None

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        weight, reduction = reduction_first(weight, reduction)
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{type(self).__name__}: label_smoothing is in [0, 1], not {label_smoothing}")
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C,); target: (N, ...) or () -> (), or with reduction="none" the target's shape.

        The input holds logits, the target class indices. A target of the input's shape holds probabilities instead.
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
    """The negative log-probability of the target's class; see `rustorch.nn.functional.nll_loss` for shapes.

    Parameters
    ----------
    weight : Variable or array, (classes,), optional
        The weight of each class.
    ignore_index : int
        Targets of this index are ignored.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
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
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.ignore_index = ignore_index

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input: (N, C, ...) or (C,); target: (N, ...) or () -> (), or with reduction="none" the target's shape.

        The input holds log-probabilities, the target class indices.
        """
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MultiMarginLoss(Loss):
    """A hinge loss of classes; see `rustorch.nn.functional.multi_margin_loss`.

    Parameters
    ----------
    p : {1, 2}
        The power of the hinge: 1 or 2.
    margin : float
    weight : Variable or array, (classes,), optional
        The weight of each class.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
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
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if p not in (1, 2):
            raise ValueError(f"{type(self).__name__}: p is 1 or 2, not {p!r}")
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.p = p
        self.margin = margin

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input: (N, C) or (C,); target: (N,) or () -> (), or with reduction="none" the target's shape.

        The input holds scores, the target class indices.
        """
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """A hinge loss between the classes that apply and the other classes.

    See `rustorch.nn.functional.multilabel_margin_loss`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
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
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: (N, C) or (C,) -> (), or with reduction="none" (N,) or ().

        The input holds scores. Each row of the target holds the indices of the classes that apply, then -1.
        """
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over the classes of ``-y * log(sigmoid(x)) - (1 - y) * log(sigmoid(-x))``.

    Parameters
    ----------
    weight : Variable or array, (classes,), optional
        The weight of each class.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
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
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: (..., C) -> (), or with reduction="none" (...).

        The input holds logits. Each target is 0 or 1.
        """
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class CTCLoss(Loss):
    """Connectionist temporal classification: see `rustorch.nn.functional.ctc_loss` for shapes.

    Parameters
    ----------
    blank : int
        The index of the class "no label".
    reduction : {"mean", "sum", "none"}
        "mean" divides each loss by the length of its target, then takes the mean.
    zero_infinity : bool
        Whether the loss of a sample without alignment is 0 instead of infinite.

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
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        tuple_of(type(self).__name__, "blank", blank, 1, 0)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: ArrayLike,
        targets: ArrayLike,
        input_lengths: ArrayLike | Sequence[int],
        target_lengths: ArrayLike | Sequence[int],
    ) -> Variable:
        """log_probs: (T, N, C); targets: (N, S) or (all labels,) -> (), or with reduction="none" (N,).

        T is the number of steps, S the length of the longest target. ``input_lengths`` and ``target_lengths`` have the
        shape (N,). One sample may come without N.
        """
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
