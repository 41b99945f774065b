"""Losses that compare an input with a target of its shape."""

from __future__ import annotations

from typing import Any

from ..variable import Variable
from . import functional as F
from .functional.checks import reduction_of
from .module import Stateless

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss",
    "MSELoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
]  # fmt: skip


class Loss(Stateless):
    """What losses share: how they are reduced."""

    _more: tuple[str, ...] = ()  # reductions of one loss alone

    def __init__(
        self,
        reduction: str,
        size_average: bool | None = None,
        reduce: bool | None = None,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.reduction = reduction_of(type(self).__name__, reduction, size_average, reduce, self._more)


class MSELoss(Loss):
    """Squared differences between an input and a target of its shape.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}
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
        """The loss of input and target of one shape."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """Absolute differences between an input and a target of its shape.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input and target of one shape."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """``d * d / (2 * beta)`` for differences d nearer to 0 than ``beta``, ``abs(d) - beta / 2`` for others.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}
    beta : float
        Not negative; 0 gives `L1Loss`.

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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if not beta >= 0:
            raise ValueError(f"SmoothL1Loss: beta is not negative, as {beta} is")
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input and target of one shape."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """``d * d / 2`` for differences d nearer to 0 than ``delta``, ``delta * (abs(d) - delta / 2)`` for others.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    delta : float
        Positive.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.HuberLoss(reduction="none", delta=2.0)(rustorch.tensor([0.5, 3.0]), rustorch.tensor([0.0, 0.0])).tolist()
    [0.125, 4.0]
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0, *, device: str | None = None, dtype: Any = None):
        super().__init__(reduction, device=device, dtype=dtype)
        if not delta > 0:
            raise ValueError(f"HuberLoss: delta is positive, not {delta}")
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input and target of one shape."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(Loss):
    """``-y * log(x) - (1 - y) * log(1 - x)`` for probabilities x; see `rustorch.nn.functional.binary_cross_entropy`.

    Parameters
    ----------
    weight : Variable or array, optional
        What each element counts; it broadcasts to the input's shape.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        """The loss of probabilities and target of one shape, both in [0, 1]."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of the logistic function of the input, stable for any input.

    Parameters
    ----------
    weight : Variable or array, optional
        What each element counts; it broadcasts to the input's shape.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "sum", "none"}
    pos_weight : Variable or array, optional
        What a target of 1 counts; it broadcasts to the input's shape.

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
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Any = None,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.register_buffer("weight", None if weight is None else Variable(weight, device=device, dtype=dtype))
        self.register_buffer(
            "pos_weight", None if pos_weight is None else Variable(pos_weight, device=device, dtype=dtype)
        )

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of logits and target of one shape; the target is in [0, 1]."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """``y * (log(y) - x)`` for log-probabilities x and probabilities y; see `rustorch.nn.functional.kl_div`.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean", the sum over the first size, is the divergence; "mean" is over all elements.
    log_target : bool
        Whether the target holds log-probabilities.

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[0.0, -2.0]]), rustorch.tensor([[0.0, 1.0]])
    >>> rustorch.KLDivLoss(reduction="batchmean")(x, y).item()
    2.0
    """

    _more = ("batchmean",)

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of log-probabilities and target, probabilities or with ``log_target`` their logarithms."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """Minus the log-likelihood of counts from a Poisson distribution; see `rustorch.nn.functional.poisson_nll_loss`.

    Parameters
    ----------
    log_input : bool
        Whether the input is the logarithm of the expected count.
    full : bool
        Whether to add Stirling's approximation of the part that depends on the counts alone.
    eps : float
        What keeps the logarithm finite, where there is one.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Any, target: Any) -> Any:
        """The loss of rates, or with ``log_input`` their logarithms, and target, the counts."""
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(Loss):
    """Minus the log-likelihood of normal numbers; see `rustorch.nn.functional.gaussian_nll_loss`.

    Parameters
    ----------
    full : bool
        Whether to add the constant part.
    eps : float
        The least variance; positive.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        if not eps > 0:
            raise ValueError(f"GaussianNLLLoss: eps is positive, not {eps}")
        self.full = full
        self.eps = eps

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """The loss of means, target, and the variances, which are positive."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class SoftMarginLoss(Loss):
    """``log(1 + exp(-y * x))`` for targets y of 1 and -1.

    Parameters
    ----------
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input and target of one shape; the target is 1 or -1."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """``x`` for targets of 1, ``max(0, margin - x)`` for targets of -1: distances of what is alike, and of what is not.

    Parameters
    ----------
    margin : float
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of distances and target of one shape; the target is 1 or -1."""
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)
