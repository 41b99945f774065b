"""Distances and similarities of vectors, and losses that compare them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import functional as F
from .loss import Loss
from .module import Stateless

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["CosineEmbeddingLoss", "CosineSimilarity", "MarginRankingLoss", "PairwiseDistance", "TripletMarginLoss",
           "TripletMarginWithDistanceLoss"]  # fmt: skip


class CosineSimilarity(Stateless):
    """The cosine of the angle between vectors; see `rustorch.nn.functional.cosine_similarity`.

    Parameters
    ----------
    dim : int
        The dimension of the vectors.
    eps : float
        Shorter vectors count as vectors of this length, to avoid a division by 0.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CosineSimilarity()(rustorch.tensor([[3.0, 0.0]]), rustorch.tensor([[0.0, 5.0]])).tolist()
    [0.0]
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(device=device, dtype=dtype)
        self.dim = dim
        self.eps = eps

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Variable:
        """x1, x2: (..., D, ...) -> (..., ...), without dimension ``dim``."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Stateless):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Parameters
    ----------
    p : float
        The power of the norm.
    eps : float
        A number that is added to every difference.
    keepdim : bool
        Whether to keep the last dimension, with size 1.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PairwiseDistance(eps=0.0)(rustorch.tensor([0.0, 0.0]), rustorch.tensor([3.0, 4.0])).item()
    5.0
    """

    def __init__(
        self,
        p: float = 2.0,
        eps: float = 1e-6,
        keepdim: bool = False,
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(device=device, dtype=dtype)
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Variable:
        """x1, x2: (..., D) -> (...), or with ``keepdim`` (..., 1)."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class MarginRankingLoss(Loss):
    """``max(0, -y * (x1 - x2) + margin)``: x1 is to be larger where the target y is 1, x2 where y is -1.

    Parameters
    ----------
    margin : float
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([1.0]), rustorch.tensor([2.0])
    >>> rustorch.MarginRankingLoss()(x, y, rustorch.tensor([1])).item()
    1.0
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.margin = margin

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> Variable:
        """input1, input2, target: any equal shapes -> (), or with reduction="none" this shape.

        Each target is 1 where input1 is to be larger, -1 where input2 is.
        """
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """``1 - cos(x1, x2)`` for targets of 1, ``max(0, cos(x1, x2) - margin)`` for targets of -1.

    Parameters
    ----------
    margin : float
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> x, y = rustorch.tensor([[1.0, 0.0]]), rustorch.tensor([[0.0, 1.0]])
    >>> rustorch.CosineEmbeddingLoss()(x, y, rustorch.tensor([1])).item()
    1.0
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.margin = margin

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> Variable:
        """input1, input2: (N, D) or (D,); target: (N,) or () -> (), or with reduction="none" the target's shape.

        Each target is 1 for similar inputs, -1 for different ones.
        """
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """``max(0, d(a, p) - d(a, n) + margin)`` for the distance d: the positive p is to be nearer to the
    anchor a than the negative n is.

    Parameters
    ----------
    margin : float
        Positive.
    p, eps : float
        The arguments of the distance, see `PairwiseDistance`.
    swap : bool
        Whether to use the distance of negative and positive where it is smaller than that of anchor and negative.
    size_average, reduce : bool, optional
        PyTorch's older arguments for ``reduction``.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> a, p, n = (rustorch.tensor([x]) for x in ([0.0, 0.0], [3.0, 4.0], [0.0, 5.0]))
    >>> rustorch.TripletMarginLoss(eps=0.0)(a, p, n).item()
    1.0
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if not margin > 0:
            raise ValueError(f"{type(self).__name__}: the margin is positive, not {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> Variable:
        """anchor, positive, negative: (..., D) -> (), or with reduction="none" (...)."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` with any distance.

    Parameters
    ----------
    distance_function : callable, optional
        Takes two Variables. A Module becomes a child. Default: `PairwiseDistance`.
    margin : float
        Positive.
    swap : bool
        Whether to use the distance of negative and positive where it is smaller than that of anchor and negative.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> a, p, n = (rustorch.tensor([x]) for x in ([0.0, 0.0], [3.0, 4.0], [0.0, 5.0]))
    >>> largest = lambda x, y: rustorch.max(rustorch.abs(x - y), axis=-1)
    >>> rustorch.TripletMarginWithDistanceLoss(distance_function=largest)(a, p, n).item()
    0.0
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        if not margin > 0:
            raise ValueError(f"{type(self).__name__}: the margin is positive, not {margin}")
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> Variable:
        """anchor, positive, negative: equal shapes -> (), or with reduction="none" the shape of a distance."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
