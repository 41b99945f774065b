"""Datasets: samples by number, or one after another."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from numbers import Integral, Real
from typing import Any, Generic, TypeVar

from .. import ops
from ..autograd.check import adopt
from ..backends import keyed_stream
from ..backends.dtypes import int64
from ..ops.from_data import asarray
from .checks import length_of, place, places, seed_of
from .sampler import permutation

T = TypeVar("T", covariant=True)

#: Apart from other uses of one seed.
_SPLIT = 2


class Dataset(Generic[T]):
    """Samples by number: whatever has ``__getitem__`` and ``__len__`` is a dataset, a subclass of this or not.

    One that can read a whole batch at once may have ``__getitems__(indices)`` too, which returns a sequence of as many
    samples.

    Examples
    --------
    >>> from rustorch.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...
    ...     def __getitem__(self, i):
    ...         return float(i), float(i**2)
    >>> Squares()[3]
    (3.0, 9.0)
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} is a Dataset without __getitem__, which returns a sample")

    def __add__(self, other: Any) -> Dataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples one after another, from ``__iter__``: a stream, which nobody can shuffle or take apart.

    A `DataLoader` goes through it once per pass, whatever its number of workers: no sample comes twice.

    Examples
    --------
    >>> from rustorch.data import DataLoader, IterableDataset
    >>> class Lines(IterableDataset):
    ...     def __iter__(self):
    ...         yield from "one two three".split()
    >>> list(DataLoader(Lines(), batch_size=2))
    [['one', 'two'], ['three']]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(
            f"{type(self).__name__} is an IterableDataset without __iter__, which yields the samples"
        )

    def __add__(self, other: Any) -> Dataset:
        return ChainDataset([self, other])


class Gathered(Sequence[tuple]):
    """Samples whose arrays are those of the whole batch already: a sequence of tuples, which `default_collate` need not
    take apart.
    """

    def __init__(self, columns: tuple):
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[at] for at in range(len(self))[i]]
        at = place("a batch", i, len(self))
        return tuple([column[at] for column in self.columns])


def _taken(columns: tuple, rows: list[int]) -> tuple:
    """These rows of each array: one indexing per array."""
    made: dict[str, Any] = {}  # the numbers of the rows, on each device
    out = []
    for x in columns:
        device = x.device
        if device not in made:
            made[device] = asarray(rows, dtype=int64, device=device)
        out.append(ops.take(x, made[device], axis=0))
    return tuple(out)


class ArrayDataset(Dataset[tuple]):
    """Arrays of one length: sample i is the tuple of their i-th rows. (PyTorch's TensorDataset.)

    A `DataLoader` reads a whole batch with one indexing per array.

    Parameters
    ----------
    *arrays : arrays or Variables, (n, ...)
        Of any backend; their memory is shared.

    Attributes
    ----------
    arrays : tuple of Variable

    Raises
    ------
    ValueError
        If there is none, or their lengths differ.
    TypeError
        If one is no array.

    Examples
    --------
    >>> import numpy as np
    >>> from rustorch.data import ArrayDataset
    >>> data = ArrayDataset(np.zeros((4, 2)), np.arange(4))
    >>> len(data), data[3]
    (4, (Variable([0., 0.], dtype=float64), Variable(3)))
    """

    def __init__(self, *arrays: Any):
        if not arrays:
            raise ValueError("ArrayDataset: no arrays, so no samples")
        self.arrays = tuple([adopt(x, "ArrayDataset") for x in arrays])
        for i, x in enumerate(self.arrays):
            if not x.ndim:
                raise ValueError(f"ArrayDataset: array {i} has no dimensions; the first one counts the samples")
        lengths = [len(x) for x in self.arrays]
        if len(set(lengths)) > 1:
            shapes = ", ".join(f"array {i} has shape {x.shape}" for i, x in enumerate(self.arrays))
            odd = next(i for i, n in enumerate(lengths) if n != lengths[0])
            raise ValueError(
                f"ArrayDataset: unequal lengths: array {odd} has {lengths[odd]} samples and array 0 has {lengths[0]} "
                f"({shapes}); the "
                f"first dimension counts the samples"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, i: Any) -> tuple:
        if isinstance(i, slice):
            return tuple([x[i] for x in self.arrays])
        if isinstance(i, (list, tuple)) or getattr(i, "ndim", 0) == 1:
            return self.__getitems__(i).columns
        at = place("ArrayDataset", i, len(self))
        return tuple([x[at] for x in self.arrays])

    def __getitems__(self, indices: Sequence[int]) -> Gathered:
        """A sequence of these samples."""
        return Gathered(_taken(self.arrays, places("ArrayDataset", indices, len(self))))


def samples_of(dataset: Any, indices: Sequence[Any]) -> Sequence:
    """A sequence of these samples, read at once where the dataset can do that."""
    together = getattr(dataset, "__getitems__", None)
    if not callable(together):
        return [dataset[i] for i in indices]
    samples = together(indices)
    if len(samples) != len(indices):
        raise ValueError(
            f"{type(dataset).__name__}.__getitems__ returned {len(samples)} samples for {len(indices)} indices"
        )
    return samples


class Subset(Dataset[T]):
    """The samples of a dataset that have these indices, in this order.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int

    Examples
    --------
    >>> from rustorch.data import Subset
    >>> evens = Subset("abcdef", range(0, 6, 2))
    >>> len(evens), evens[1], evens[-1]
    (3, 'c', 'e')
    """

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def _index(self, i: Any) -> Any:
        return self.indices[place(type(self).__name__, i, len(self.indices))]

    def __getitem__(self, i: Any) -> T:
        if isinstance(i, (list, tuple)):
            return self.dataset[[self._index(at) for at in i]]
        return self.dataset[self._index(i)]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[T]:
        """A sequence of these samples."""
        if type(self).__getitem__ is not Subset.__getitem__:  # a subclass that changes each sample
            return [self[i] for i in indices]
        return samples_of(
            self.dataset, [self.indices[at] for at in places(type(self).__name__, indices, len(self.indices))]
        )


class ConcatDataset(Dataset[T]):
    """Datasets one behind the other.

    Parameters
    ----------
    datasets : iterable of Dataset
        At least one; each has a length.

    Raises
    ------
    ValueError
        If there is none.
    TypeError
        If one has no length, or is an `IterableDataset`.

    Examples
    --------
    >>> from rustorch.data import ConcatDataset
    >>> both = ConcatDataset(["abc", "de"])
    >>> len(both), both[3], both[-5]
    (5, 'd', 'a')
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: no datasets")
        for i, dataset in enumerate(self.datasets):
            if is_stream(dataset):
                raise TypeError(
                    f"ConcatDataset: dataset {i} is an iterable one, without numbers; chain such in a ChainDataset"
                )
        self.cumulative_sizes = list(accumulate(length_of("ConcatDataset", dataset, "it") for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _find(self, i: Any) -> tuple[int, int]:
        """Which dataset, and which of its samples."""
        at = place(type(self).__name__, i, len(self))
        which = bisect_right(self.cumulative_sizes, at)
        return which, at - (self.cumulative_sizes[which - 1] if which else 0)

    def __getitem__(self, i: Any) -> T:
        which, at = self._find(i)
        return self.datasets[which][at]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[T]:
        """A sequence of these samples; each dataset is asked once."""
        if type(self).__getitem__ is not ConcatDataset.__getitem__:
            return [self[i] for i in indices]
        asked: dict[int, list[tuple[int, int]]] = {}  # dataset -> (place in the batch, index)
        for position, i in enumerate(indices):
            which, at = self._find(i)
            asked.setdefault(which, []).append((position, at))
        parts = [samples_of(self.datasets[which], [at for _, at in pairs]) for which, pairs in asked.items()]
        positions = [position for pairs in asked.values() for position, _ in pairs]
        if len(parts) == 1:
            return parts[0]
        order = sorted(range(len(positions)), key=positions.__getitem__)
        if (together := _joined(parts, order)) is not None:
            return together  # type: ignore[return-value]
        flat = [sample for part in parts for sample in part]
        return [flat[at] for at in order]


def _joined(parts: list[Sequence], order: list[int]) -> Gathered | None:
    """One batch of several, its samples in this order, where their arrays can be joined as they are."""
    columns = [part.columns for part in parts if isinstance(part, Gathered)]
    kinds = {tuple([(x.shape[1:], x.dtype, x.device) for x in part]) for part in columns}
    if len(columns) < len(parts) or len(kinds) != 1:
        return None
    return Gathered(_taken(tuple([ops.concat(pieces) for pieces in zip(*columns, strict=True)]), order))


class ChainDataset(IterableDataset[T]):
    """Iterable datasets one behind the other.

    Parameters
    ----------
    datasets : iterable of IterableDataset
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[T]:
        for dataset in self.datasets:
            yield from dataset

    def __len__(self) -> int:
        return sum(length_of("ChainDataset", dataset, "the length") for dataset in self.datasets)


def is_stream(dataset: Any) -> bool:
    """Whether samples come one after another: by the name of the class, so that PyTorch's are known without PyTorch."""
    if any(base.__name__ == "IterableDataset" for base in type(dataset).__mro__):
        return True
    return hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__")


# -- split -------------------------------------------------------------------------------------------------------------
def _length(i: int, length: Any) -> float:
    """The length of a part as Python's number, of which NumPy has its own."""
    if isinstance(length, Real) and not isinstance(length, bool) and float(length) >= 0:
        return int(length) if isinstance(length, Integral) else float(length)
    raise ValueError(f"random_split: length {i} is neither a non-negative integer nor a fraction in [0, 1]: {length!r}")


def random_split(dataset: Any, lengths: Sequence[float], seed: int | None = None) -> list[Subset]:
    """A dataset taken apart at random, without overlap.

    Parameters
    ----------
    dataset : Dataset
        With a length, n.
    lengths : sequence of int or float
        Integers that sum to n; or fractions that sum to 1: each part then gets ``floor(fraction * n)`` samples, and
        what is left goes to the parts in turn, one each.
    seed : int, optional
        The split is a function of it. Default: drawn from rustorch's random numbers, so that `rustorch.manual_seed`
        makes it repeatable.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        If a length is negative, or they do not sum to n nor to 1.

    Warns
    -----
    UserWarning
        If a fraction leaves a part empty.

    Examples
    --------
    >>> from rustorch.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25], seed=0)]
    [8, 2]
    """
    n = length_of("random_split", dataset, "it")
    given = [_length(i, length) for i, length in enumerate(lengths)]
    total = math.fsum(given)
    if math.isclose(total, 1) and (n != 1 or any(isinstance(length, float) for length in given)):
        sizes = [math.floor(n * fraction) for fraction in given]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
        if 0 in sizes:
            import warnings

            warnings.warn(f"random_split: part {sizes.index(0)} of {n} samples is empty", stacklevel=2)
    elif any(isinstance(length, float) for length in given):
        raise ValueError(f"random_split: the fractions {given} sum to {total:g}, not to 1")
    elif sum(given) != n:
        raise ValueError(f"random_split: the lengths {given} sum to {sum(given)}, but the dataset has {n} samples")
    else:
        sizes = [int(length) for length in given]
    order = permutation(keyed_stream(seed_of("random_split", seed), _SPLIT), n)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(accumulate(sizes), sizes, strict=True)]
