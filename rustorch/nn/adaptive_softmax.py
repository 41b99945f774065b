"""A softmax over very many classes, most of which are rare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import Any, NamedTuple

from .. import ops
from ..autograd.check import adopt
from ..variable import Variable
from . import functional as F
from .container import ModuleList, Sequential
from .functional.checks import real
from .functional.targets import check_classes, class_indices
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _Output(NamedTuple):
    """The log-probability of each target, and minus their mean."""

    output: Variable
    loss: Variable


class AdaptiveLogSoftmaxWithLoss(Module):
    """A log-softmax whose classes are sorted by how often they occur: rare ones share clusters, which are computed when
    needed.

    The head gives scores to the frequent classes and to the clusters; a class of a cluster has the probability of the
    cluster times that of the class within it.

    Parameters
    ----------
    in_features : int
    n_classes : int
    cutoffs : sequence of int
        Where clusters begin, in increasing order, each in [1, n_classes - 1]: classes below the first one are in the
        head.
    div_value : float
        Cluster i computes with ``in_features / div_value ** (i + 1)`` features.
    head_bias : bool
        Whether the head has a bias.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    head : Linear
    tail : ModuleList
        Two linear maps for each cluster.

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
        dtype: Any = None,
    ):
        super().__init__()
        given = [index(c) if hasattr(c, "__index__") else 0 for c in cutoffs]
        if not given or given != sorted(set(given)) or given[0] < 1 or given[-1] >= n_classes:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs are increasing integers, at least one, in [1, {n_classes - 1}], "
                f"not {cutoffs!r}"
            )
        if not div_value > 0:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: div_value is what features are divided by, and positive, not "
                f"{div_value!r}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*given, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = given[0]
        self.n_clusters = len(given)
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

    def _rows(self, input: Any) -> Variable:
        input = real(input, "AdaptiveLogSoftmaxWithLoss")
        if input.ndim not in (1, 2) or input.shape[-1] != self.in_features:
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: the input is (n, {self.in_features}) or ({self.in_features},), not of "
                f"shape {input.shape}"
            )
        return input

    def forward(self, input: Any, target: Any) -> _Output:
        """The log-probabilities of the targets, (n,), and the loss, their negative mean, of input (n, in_features)."""
        input = self._rows(input)
        target = class_indices("AdaptiveLogSoftmaxWithLoss", target, input, input.shape[:-1])
        alone = input.ndim == 1
        if alone:
            input, target = ops.expand_dims(input, axis=0), ops.expand_dims(target, axis=0)
        check_classes("AdaptiveLogSoftmaxWithLoss", target, self.n_classes)
        head = F.log_softmax(self.head(input), 1)
        rows, logs = [], []
        for i, (low, high) in enumerate(pairwise([0, *self.cutoffs])):
            (mine,) = ops.nonzero(ops.logical_and(target >= low, target < high))
            if not mine.size:
                continue
            place = ops.expand_dims(ops.take(target, mine, axis=0) - low, axis=1)
            of_head = ops.take(head, mine, axis=0)
            if i == 0:
                log = ops.take_along_axis(of_head, place, axis=1)[:, 0]
            else:
                within = F.log_softmax(self.tail[i - 1](ops.take(input, mine, axis=0)), 1)
                log = of_head[:, self.shortlist_size + i - 1] + ops.take_along_axis(within, place, axis=1)[:, 0]
            rows.append(mine)
            logs.append(log)
        if not rows:
            raise ValueError("AdaptiveLogSoftmaxWithLoss: there is no sample to take a mean of")
        output = ops.take(ops.concat(logs), ops.argsort(ops.concat(rows)), axis=0)
        return _Output(output[0] if alone else output, -ops.mean(output))

    def log_prob(self, input: Any) -> Variable:
        """The log-probabilities of all classes, (n, n_classes), for inputs of (n, in_features)."""
        input = self._rows(input)
        head = F.log_softmax(self.head(input), -1)
        parts = [head[..., : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(head[..., at : at + 1] + F.log_softmax(cluster(input), -1))
        return ops.concat(parts, axis=-1)

    def predict(self, input: Any) -> Variable:
        """The most probable class for each of (n, in_features) inputs, as integers of (n,)."""
        return ops.argmax(self.log_prob(adopt(input, "AdaptiveLogSoftmaxWithLoss").detach()), axis=-1)
