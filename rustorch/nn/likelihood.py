"""Losses of probabilities: cross-entropy of two classes, divergence, and negative log-likelihoods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..variable import Variable
from . import functional as F
from .loss import Loss

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike

__all__ = ["BCELoss", "BCEWithLogitsLoss", "GaussianNLLLoss", "KLDivLoss", "PoissonNLLLoss"]


class BCELoss(Loss):
    """``-y * log(x) - (1 - y) * log(1 - x)`` for probabilities x; see `rustorch.nn.functional.binary_cross_entropy`.

    Parameters
    ----------
    weight : Variable or array, optional
        The weight of each element. It broadcasts to the input's shape.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.BCELoss()(rustorch.tensor([0.0, 1.0]), rustorch.tensor([1.0, 1.0])).item()
    50.0
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
        """input, target: any equal shapes -> (), or with reduction="none" this shape.

        Both hold probabilities in [0, 1].
        """
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of ``sigmoid(x)``, without overflow for any input.

    Parameters
    ----------
    weight : Variable or array, optional
        The weight of each element. It broadcasts to the input's shape.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}
    pos_weight : Variable or array, optional
        The weight of targets of 1. It broadcasts to the input's shape.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.BCEWithLogitsLoss()(rustorch.tensor([-1000.0, 1000.0]), rustorch.tensor([1.0, 1.0])).item()
    500.0
    """

    weight: Variable | None
    pos_weight: Variable | None

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: ArrayLike | None = None,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.register_buffer(
            "pos_weight", None if pos_weight is None else Variable(pos_weight, device=device, dtype=dtype)
        )

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: any equal shapes -> (), or with reduction="none" this shape.

        The input holds logits, the target probabilities in [0, 1].
        """
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """``y * (log(y) - x)`` for log-probabilities x and probabilities y; see `rustorch.nn.functional.kl_div`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" divides the sum by the batch size: the mathematical divergence. "mean" divides it by the number of
        elements.
    log_target : bool
        Whether the target holds log-probabilities.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[0.0, -2.0]]), rustorch.tensor([[0.0, 1.0]])
    >>> rustorch.KLDivLoss(reduction="batchmean")(x, y).item()
    2.0
    """

    _more_reductions = ("batchmean",)

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.log_target = log_target

    def forward(self, input: ArrayLike, target: ArrayLike) -> Variable:
        """input, target: any equal shapes -> (), or with reduction="none" this shape.

        The input holds log-probabilities. The target holds probabilities, or with ``log_target`` log-probabilities.
        """
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts from a Poisson distribution; see `rustorch.nn.functional.poisson_nll_loss`.

    Parameters
    ----------
    log_input : bool
        Whether the input is the logarithm of the expected count.
    full : bool
        Whether to add Stirling's approximation of the term that depends on the target only.
    eps : float
        Added to the input before its logarithm, to keep it finite. Used without ``log_input``.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PoissonNLLLoss()(rustorch.tensor([0.0, 0.0]), rustorch.tensor([3, 5])).item()
    1.0
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: ArrayLike, target: ArrayLike) -> Variable:
        """log_input, target: any equal shapes -> (), or with reduction="none" this shape.

        The input holds the logarithms of the expected counts, or without ``log_input`` the expected counts. The target
        holds counts.
        """
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(Loss):
    """The negative log-likelihood of numbers from normal distributions; see `rustorch.nn.functional.gaussian_nll_loss`.

    Parameters
    ----------
    full : bool
        Whether to add the constant term.
    eps : float
        Smaller variances are raised to this number. Positive.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> rustorch.GaussianNLLLoss()(rustorch.tensor([0.0, 0.0]), rustorch.tensor([2.0, 4.0]), 1.0).item()
    5.0
    """

    def __init__(
        self,
        *,
        full: bool = False,
        eps: float = 1e-6,
        reduction: str = "mean",
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        if not eps > 0:
            raise ValueError(f"{type(self).__name__}: eps is positive, not {eps}")
        self.full = full
        self.eps = eps

    def forward(self, input: ArrayLike, target: ArrayLike, var: ArrayLike) -> Variable:
        """input, target: any equal shapes; var: this shape -> (), or with reduction="none" this shape.

        The input holds means and ``var`` their variances, which are at least 0. The shape of ``var`` may lack the last
        dimension, or have size 1 there. It may be one number.
        """
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
