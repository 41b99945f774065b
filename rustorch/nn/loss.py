"""Losses of differences and margins, and the base class of all losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import functional as F
from .functional.checks import reduction_of
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["HingeEmbeddingLoss", "HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss", "SoftMarginLoss"]


class Loss(Stateless):
    """The base of losses. It holds the reduction: the mean of all losses, their sum, or none."""

    _more_reductions: tuple[str, ...] = ()  # further reductions of one class

    def __init__(
        self,
        reduction: str,
        size_average: bool | None = None,
        reduce: bool | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.reduction = reduction_of(type(self).__name__, reduction, size_average, reduce, self._more_reductions)


class MSELoss(Loss):
    """The squared difference of input and target: ``(x - y) ** 2``.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}
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
        """input, target: any equal shapes -> (), or with reduction="none" this shape."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """The absolute difference of input and target: ``abs(x - y)``.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.L1Loss()(rustorch.tensor([1.0, 5.0]), rustorch.tensor([2.0, 2.0])).item()
    2.0
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
        """input, target: any equal shapes -> (), or with reduction="none" this shape."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """``d * d / (2 * beta)`` where the difference d of input and target is smaller than ``beta``, ``abs(d) - beta / 2``
    elsewhere.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}
    beta : float
        At least 0. With 0 the loss is `L1Loss`.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.SmoothL1Loss(reduction="none")(rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0])).tolist()
    [0.125, 2.5]
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if not beta >= 0:
            raise ValueError(f"{type(self).__name__}: beta must be at least 0, not {beta}")
        self.beta = beta

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: any equal shapes -> (), or with reduction="none" this shape."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """``d * d / 2`` where the difference d of input and target is smaller than ``delta``,
    ``delta * (abs(d) - delta / 2)`` elsewhere.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    delta : float
        Positive.

    Examples
    --------
    >>> import rustorch
    >>> loss = rustorch.HuberLoss(reduction="none", delta=2.0)
    >>> loss(rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0])).tolist()
    [0.125, 4.0]
    """

    def __init__(
        self, reduction: str = "mean", delta: float = 1.0, *, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        if not delta > 0:
            raise ValueError(f"{type(self).__name__}: delta is positive, not {delta}")
        self.delta = delta

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: any equal shapes -> (), or with reduction="none" this shape."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class SoftMarginLoss(Loss):
    """``log(1 + exp(-y * x))`` for targets y of 1 and -1.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.SoftMarginLoss()(rustorch.tensor([-1000.0, 1000.0]), rustorch.tensor([1, 1])).item()
    500.0
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
        """input, target: any equal shapes -> (), or with reduction="none" this shape.

        Each target is 1 or -1.
        """
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """``x`` for targets of 1, ``max(0, margin - x)`` for targets of -1.

    The input x is the distance of two things: similar ones with target 1, different ones with target -1.

    Parameters
    ----------
    margin : float
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.HingeEmbeddingLoss(reduction="none")(rustorch.tensor([2.0, 0.5]), rustorch.tensor([1, -1])).tolist()
    [2.0, 0.5]
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.margin = margin

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: any equal shapes -> (), or with reduction="none" this shape.

        The input holds distances. Each target is 1 or -1.
        """
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)
