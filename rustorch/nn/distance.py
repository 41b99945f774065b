"""Distances and similarities of vectors, and the losses that compare them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import functional as F
from .loss import Loss
from .module import Stateless

__all__ = ["CosineEmbeddingLoss", "CosineSimilarity", "MarginRankingLoss", "PairwiseDistance", "TripletMarginLoss",
           "TripletMarginWithDistanceLoss"]  # fmt: skip


class CosineSimilarity(Stateless):
    """The cosine of the angle between vectors; see `rustorch.nn.functional.cosine_similarity`.

    Parameters
    ----------
    dim : int
        Where the vectors lie.
    eps : float
        The least length to divide by.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.CosineSimilarity()(rustorch.tensor([[3.0, 0.0]]), rustorch.tensor([[0.0, 5.0]])).tolist()
    [0.0]
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8, *, device: str | None = None, dtype: Any = None):
        super().__init__(device=device, dtype=dtype)
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Any, x2: Any) -> Any:
        """The similarity of two inputs along a dimension, which the output has not."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Stateless):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Parameters
    ----------
    p : float
        Of the norm.
    eps : float
        Added to every difference.
    keepdim : bool
        Whether the last dimension stays, with size 1.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.PairwiseDistance(eps=0.0)(rustorch.tensor([0.0, 0.0]), rustorch.tensor([3.0, 4.0])).item()
    5.0
    """

    def __init__(
        self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False, *, device: str | None = None, dtype: Any = None
    ):
        super().__init__(device=device, dtype=dtype)
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        """The distance of two inputs along their last dimension, which the output has not, unless keepdim."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class MarginRankingLoss(Loss):
    """``max(0, -y * (x1 - x2) + margin)``: the first is to be larger where the target y is 1, the second where it is
    -1.

    Parameters
    ----------
    margin : float
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of two inputs of one shape and target, 1 where the first shall be larger and -1 elsewhere."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """``1 - cos(x1, x2)`` for targets of 1, ``max(0, cos(x1, x2) - margin)`` for targets of -1.

    Parameters
    ----------
    margin : float
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of two inputs (n, features) and target (n,), 1 for what is alike and -1 for what is not."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """``max(0, d(a, p) - d(a, n) + margin)`` for `PairwiseDistance` d: the positive is to be nearer to the anchor.

    Parameters
    ----------
    margin : float
        Positive.
    p, eps : float
        Of the distance.
    swap : bool
        Whether the negative's distance to the positive counts, where it is the smaller one.
    size_average, reduce : bool, optional
        PyTorch's old words for ``reduction``, for programs that still have them.
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
        dtype: Any = None,
    ):
        super().__init__(reduction, size_average, reduce, device=device, dtype=dtype)
        if not margin > 0:
            raise ValueError(f"TripletMarginLoss: the margin is positive, not {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss of anchor, positive and negative, (n, features) each."""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Loss):
    """`TripletMarginLoss` with a distance of one's own.

    Parameters
    ----------
    distance_function : callable, optional
        Of two Variables; a Module becomes a child. Default: `PairwiseDistance`.
    margin : float
        Positive.
    swap : bool
        Whether the negative's distance to the positive counts, where it is the smaller one.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import rustorch
    >>> a, p, n = (rustorch.tensor([x]) for x in ([0.0, 0.0], [3.0, 4.0], [0.0, 5.0]))
    >>> loss = rustorch.TripletMarginWithDistanceLoss(distance_function=lambda x, y: rustorch.max(rustorch.abs(x - y), axis=-1))
    >>> loss(a, p, n).item()
    0.0
    """

    def __init__(
        self,
        *,
        distance_function: Callable | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, device=device, dtype=dtype)
        if not margin > 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: the margin is positive, not {margin}")
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss of anchor, positive and negative, which distance_function takes in pairs."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
