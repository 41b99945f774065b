"""Samplers: the order of a dataset's samples. A random order depends only on a seed and on the number of the pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

from .. import ops
from ..autograd.graph import make
from ..autograd.modes import no_grad
from ..backends import Backend, keyed_stream
from ..backends.dtypes import float64, int64
from ..ops.from_data import asarray
from .checks import checked_bool, checked_integer, given_or_drawn_seed

T = TypeVar("T", covariant=True)

#: Separates the random numbers of samplers from other uses of the same seed.
_STREAM = 1


class Sampler(Generic[T]):
    """The base class of samplers: an iterable of indices, or of lists of indices.

    A subclass has ``__iter__``, and ``__len__`` if it knows the number of its items. If its order differs from pass to
    pass, it should have ``set_epoch(epoch)``, and the order should depend on that number. `DataLoader` calls it before
    each pass, so that a run can be resumed.

    Examples
    --------
    >>> from rustorch.data import Sampler
    >>> class Backwards(Sampler[int]):
    ...     def __init__(self, n):
    ...         self.n = n
    ...
    ...     def __iter__(self):
    ...         return iter(range(self.n - 1, -1, -1))
    ...
    ...     def __len__(self):
    ...         return self.n
    >>> list(Backwards(3))
    [2, 1, 0]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} is a Sampler without __iter__, which yields the indices")


class SequentialSampler(Sampler[int]):
    """The indices 0, 1, 2, ... in this order.

    Parameters
    ----------
    data_source : object with a length
    """

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class SeededSampler(Sampler[int]):
    """The base class of the samplers here that have a seed.

    The order of a pass depends only on ``(seed, epoch)``. Each pass adds 1 to ``epoch``.

    Attributes
    ----------
    epoch_was_set : bool
        Whether `set_epoch` was called since the latest pass began. Then a `DataLoader` starts there, too.
    """

    def __init__(self, seed: int | None):
        self.seed = given_or_drawn_seed(type(self).__name__, seed)
        self.epoch = 0
        self.epoch_was_set = False

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next pass. Numbers start at 0, and each pass adds 1."""
        self.epoch = checked_integer(type(self).__name__, "epoch", epoch)
        self.epoch_was_set = True

    def __iter__(self) -> Iterator[int]:
        self.epoch_was_set = False
        order = self._order(keyed_stream(self.seed, _STREAM, self.epoch))
        self.epoch += 1
        return iter(order)

    def _order(self, stream: Backend) -> Sequence[int]:
        """The indices of a pass, drawn from a stream of random numbers."""
        raise NotImplementedError


def permutation(stream: Backend, n: int) -> list[int]:
    """The integers below n in random order."""
    order: list[int] = make(stream.permutation(n, "cpu")).tolist()
    return order


class RandomSampler(SeededSampler):
    """All indices in random order, or, with replacement, independent random indices.

    Parameters
    ----------
    data_source : object with a length
    replacement : bool
        Whether an index may come again before all others have come.
    num_samples : int, optional
        The number of indices in a pass. Default: the length. Without replacement, a number above the length gives
        several permutations, one after another.
    seed : int, optional
        Not negative. The order of pass number e depends only on ``(seed, e)``. Default: drawn from rustorch's random
        numbers, so that `rustorch.manual_seed` makes it repeatable.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from rustorch.data import RandomSampler
    >>> sampler = RandomSampler(range(5), seed=0)
    >>> first, second = list(sampler), list(sampler)
    >>> sorted(first), first == second
    ([0, 1, 2, 3, 4], False)
    >>> sampler.set_epoch(0)
    >>> list(sampler) == first
    True
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, seed: int | None = None
    ):
        self.data_source = data_source
        self.replacement = checked_bool("RandomSampler", "replacement", replacement)
        self._num_samples = (
            None if num_samples is None else checked_integer("RandomSampler", "num_samples", num_samples, 1)
        )
        super().__init__(seed)

    @property
    def num_samples(self) -> int:
        """The number of indices in a pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _order(self, stream: Backend) -> Sequence[int]:
        n, count = len(self.data_source), self.num_samples
        if not n and count:
            raise ValueError(f"RandomSampler: {count} samples of a dataset that has none")
        if self.replacement:
            drawn: list[int] = make(stream.integers(0, max(n, 1), (count,), int64, "cpu")).tolist()
            return drawn
        order: list[int] = []
        while len(order) < count:
            order += permutation(stream, n)
        return order[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(SeededSampler):
    """The given indices in random order, each once.

    Parameters
    ----------
    indices : sequence of int
    seed : int, optional
        As in `RandomSampler`.
    """

    def __init__(self, indices: Sequence[int], seed: int | None = None):
        self.indices = indices
        super().__init__(seed)

    def _order(self, stream: Backend) -> Sequence[int]:
        return [self.indices[i] for i in permutation(stream, len(self.indices))]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(SeededSampler):
    """Random indices with given probabilities, for example to draw rare classes as often as frequent ones.

    Parameters
    ----------
    weights : sequence of numbers, array or Variable, (n,)
        Not negative; they need not sum to 1. An index of weight 0 never comes.
    num_samples : int
        The number of indices in a pass.
    replacement : bool
        Whether an index may come again.
    seed : int, optional
        As in `RandomSampler`.

    Raises
    ------
    ValueError
        If an argument is not as described. Without replacement, also if fewer than ``num_samples`` weights are
        positive.

    Notes
    -----
    Without replacement, each index gets an exponentially distributed time, whose rate is the weight. The indices with
    the earliest times are drawn: P. S. Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir",
    Information Processing Letters 97 (2006).

    Examples
    --------
    >>> from rustorch.data import WeightedRandomSampler
    >>> sorted(WeightedRandomSampler([1.0, 0.0, 2.0], 2, replacement=False, seed=0))
    [0, 2]
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, seed: int | None = None):
        name = "WeightedRandomSampler"
        self.num_samples = checked_integer(name, "num_samples", num_samples, 1)
        self.replacement = checked_bool(name, "replacement", replacement)
        with no_grad():
            self.weights = asarray(weights, dtype=float64, device="cpu").detach()
            if self.weights.ndim != 1:
                raise ValueError(f"{name}: weights are of one dimension, not of the shape {self.weights.shape}")
            if not ops.all(ops.isfinite(self.weights) & (self.weights >= 0)):
                raise ValueError(f"{name}: a weight is negative, infinite or nan")
            self._rates = ops.where(self.weights > 0, self.weights, 1.0)
            self._last_positive = max([i for i, weight in enumerate(self.weights.tolist()) if weight], default=-1)
            n_positive = int(ops.sum(ops.astype(self.weights > 0, int64)))
        if not n_positive:
            raise ValueError(f"{name}: none of the {self.weights.size} weights is positive")
        if not self.replacement and self.num_samples > n_positive:
            raise ValueError(
                f"{name}: {self.num_samples} samples without replacement, but only {n_positive} of {self.weights.size} "
                f"weights are positive"
            )
        super().__init__(seed)

    def _order(self, stream: Backend) -> Sequence[int]:
        order: list[int]
        with no_grad():
            if self.replacement:
                bounds = ops.cumulative_sum(self.weights)
                u = make(stream.uniform((self.num_samples,), float64, "cpu")) * bounds[-1]
                # rounding may make u equal to the last bound, and the search would go past the last index
                found = ops.searchsorted(bounds, u, side="right")
                order = ops.minimum(found, self._last_positive).tolist()
            else:
                times = -ops.log1p(-make(stream.uniform((self.weights.size,), float64, "cpu"))) / self._rates
                times = ops.where(self.weights > 0, times, float("inf"))
                order = ops.argsort(times)[: self.num_samples].tolist()
        return order

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices each.

    Parameters
    ----------
    sampler : Sampler or iterable of int
    batch_size : int
        At least 1.
    drop_last : bool
        Whether to drop a last batch that is smaller.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from rustorch.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False):
        self.sampler = sampler
        self.batch_size = checked_integer("BatchSampler", "batch_size", batch_size, 1)
        self.drop_last = checked_bool("BatchSampler", "drop_last", drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        sampler: Any = self.sampler  # an iterable without a length raises TypeError
        n = len(sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
