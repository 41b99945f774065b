"""A log-softmax and loss for very many classes, most of which are rare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from .. import ops
from ..autograd.check import adopt
from ..variable import Variable
from . import functional as F
from .container import ModuleList, Sequential
from .functional.checks import real
from .functional.targets import check_classes, class_indices
from .linear import Linear
from .module import Module

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _Output(NamedTuple):
    """The log-probability of each target, and the loss, the negative mean of them."""

    output: Variable
    loss: Variable


class AdaptiveLogSoftmaxWithLoss(Module):
    """A log-softmax and its loss for very many classes, which are sorted from frequent to rare.

    Rare classes are divided into clusters. The head computes scores of the frequent classes and of the clusters. A
    cluster computes the scores of its classes only for targets in it. The probability of a class in a cluster is the
    probability of the cluster times that of the class within the cluster.

    Parameters
    ----------
    in_features : int
    n_classes : int
    cutoffs : sequence of int
        The first class of each cluster, in increasing order, each in [1, n_classes - 1]. The head has the classes below
        the first cutoff.
    div_value : float
        Cluster i has ``in_features / div_value ** (i + 1)`` features.
    head_bias : bool
        Whether the head has a bias.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    head : Linear
    tail : ModuleList
        Two linear layers for each cluster.

    Source: Grave et al., "Efficient softmax approximation for GPUs", 2016.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[5, 10], div_value=2.0)
    >>> output, loss = layer(rustorch.randn(4, 8), rustorch.tensor([1, 7, 19, 0]))
    >>> output.shape, loss.shape
    ((4,), ())
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__()
        starts = [index(c) if hasattr(c, "__index__") else 0 for c in cutoffs]
        if not starts or starts != sorted(set(starts)) or starts[0] < 1 or starts[-1] >= n_classes:
            raise ValueError(
                f"{type(self).__name__}: cutoffs are increasing integers, at least one, in [1, {n_classes - 1}], "
                f"not {cutoffs!r}"
            )
        if not div_value > 0:
            raise ValueError(f"{type(self).__name__}: div_value is a divisor and must be positive, not {div_value!r}")
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*starts, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = starts[0]
        self.n_clusters = len(starts)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (i + 1))
            down = Linear(in_features, width, bias=False, device=device, dtype=dtype)
            self.tail.append(Sequential(down, Linear(width, high - low, bias=False, device=device, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def _checked_input(self, input: ArrayLike) -> Variable:
        """The input as a Variable. Raises if its shape or dtype is wrong."""
        x = real(input, "AdaptiveLogSoftmaxWithLoss")
        if x.ndim not in (1, 2) or x.shape[-1] != self.in_features:
            raise ValueError(
                f"{type(self).__name__}: the input is (n, {self.in_features}) or ({self.in_features},), not of "
                f"shape {x.shape}"
            )
        return x

    def forward(self, input: ArrayLike, target: ArrayLike) -> _Output:
        """input: (N, in_features); target: (N,) -> output (N,), loss ().

        The target holds class indices, the output their log-probabilities. The loss is the negative mean of the output.
        One sample may come without N.
        """
        x = self._checked_input(input)
        target = class_indices("AdaptiveLogSoftmaxWithLoss", target, x, x.shape[:-1])
        is_single = x.ndim == 1
        if is_single:
            x, target = ops.expand_dims(x, axis=0), ops.expand_dims(target, axis=0)
        check_classes("AdaptiveLogSoftmaxWithLoss", target, self.n_classes)
        head = F.log_softmax(self.head(x), 1)
        row_numbers, log_probabilities = [], []
        for i, (low, high) in enumerate(pairwise([0, *self.cutoffs])):
            (rows,) = ops.nonzero(ops.logical_and(target >= low, target < high))
            if not rows.size:
                continue
            class_in_cluster = ops.expand_dims(ops.take(target, rows, axis=0) - low, axis=1)
            head_rows = ops.take(head, rows, axis=0)
            if i == 0:
                log = ops.take_along_axis(head_rows, class_in_cluster, axis=1)[:, 0]
            else:
                cluster = F.log_softmax(self.tail[i - 1](ops.take(x, rows, axis=0)), 1)
                log = head_rows[:, self.shortlist_size + i - 1]
                log = log + ops.take_along_axis(cluster, class_in_cluster, axis=1)[:, 0]
            row_numbers.append(rows)
            log_probabilities.append(log)
        if not row_numbers:
            raise ValueError(f"{type(self).__name__}: there is no sample to take a mean of")
        output = ops.take(ops.concat(log_probabilities), ops.argsort(ops.concat(row_numbers)), axis=0)
        return _Output(output[0] if is_single else output, -ops.mean(output))

    def log_prob(self, input: ArrayLike) -> Variable:
        """input: (N, in_features) -> the log-probabilities of all classes, (N, n_classes)."""
        x = self._checked_input(input)
        head = F.log_softmax(self.head(x), -1)
        parts = [head[..., : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(head[..., at : at + 1] + F.log_softmax(cluster(x), -1))
        return ops.concat(parts, axis=-1)

    def predict(self, input: ArrayLike) -> Variable:
        """input: (N, in_features) -> the index of the most probable class, (N,)."""
        return ops.argmax(self.log_prob(adopt(input, "AdaptiveLogSoftmaxWithLoss").detach()), axis=-1)
