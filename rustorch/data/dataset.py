"""Datasets: samples by index, or a stream of samples; parts and concatenations of datasets."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import ops
from ..autograd.check import adopt
from ..backends import keyed_stream
from ..backends.dtypes import int64
from ..ops.from_data import asarray
from .checks import given_or_drawn_seed, length_of, position_of, positions_of
from .sampler import permutation

if TYPE_CHECKING:
    from ..variable import Variable

T = TypeVar("T", covariant=True)

#: Separates the random numbers of splits from other uses of the same seed.
_STREAM = 2


class Dataset(Generic[T]):
    """The base class of datasets with samples by index.

    Every object with ``__getitem__`` and ``__len__`` is a dataset, also without this base class. A dataset that can
    read a whole batch at once may have ``__getitems__(indices)``, which returns a sequence of as many samples.

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

    def __add__(self, other: Any) -> Dataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """The base class of streams: ``__iter__`` yields the samples one after another, and they have no index.

    A stream cannot be shuffled or split. A `DataLoader` reads each sample once per pass, with any number of workers.

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

    def __add__(self, other: Any) -> Dataset[Any]:
        return ChainDataset([self, other])


class ColumnBatch(Sequence[tuple[Any, ...]]):
    """The samples of a batch, stored as one array for each column.

    It is a sequence of tuples, one for each sample. `default_collate` returns the columns as they are.

    Parameters
    ----------
    columns : tuple of Variable
        At least one, each of shape (samples, ...).
    """

    def __init__(self, columns: tuple[Variable, ...]):
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[row] for row in range(len(self))[i]]
        row = position_of("a batch", i, len(self))
        return tuple([column[row] for column in self.columns])


def _take_rows(columns: tuple[Variable, ...], rows: list[int]) -> tuple[Variable, ...]:
    """These rows of each array, with one indexing per array."""
    rows_on: dict[str, Variable] = {}  # device -> the indices of the rows on that device
    taken = []
    for x in columns:
        device = x.device
        if device not in rows_on:
            rows_on[device] = asarray(rows, dtype=int64, device=device)
        taken.append(ops.take(x, rows_on[device], axis=0))
    return tuple(taken)


class ArrayDataset(Dataset[tuple[Any, ...]]):
    """A dataset of arrays of one length: sample i is the tuple of their i-th rows. (PyTorch's TensorDataset.)

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
        If there are no arrays, or their lengths differ.
    TypeError
        If an argument is no array.

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
                f"({shapes}); the first dimension counts the samples"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        if isinstance(i, slice):
            return tuple([x[i] for x in self.arrays])
        if isinstance(i, (list, tuple)) or getattr(i, "ndim", 0) == 1:
            return self.__getitems__(i).columns
        row = position_of("ArrayDataset", i, len(self))
        return tuple([x[row] for x in self.arrays])

    def __getitems__(self, indices: Sequence[int]) -> ColumnBatch:
        """A sequence of the samples with these indices."""
        return ColumnBatch(_take_rows(self.arrays, positions_of("ArrayDataset", indices, len(self))))


def read_samples(dataset: Any, indices: Sequence[Any]) -> Sequence[Any]:
    """A sequence of the samples with these indices, read at once if the dataset has ``__getitems__``."""
    read_all = getattr(dataset, "__getitems__", None)
    if not callable(read_all):
        return [dataset[i] for i in indices]
    samples: Sequence[Any] = read_all(indices)
    if len(samples) != len(indices):
        raise ValueError(
            f"{type(dataset).__name__}.__getitems__ returned {len(samples)} samples for {len(indices)} indices"
        )
    return samples


class Subset(Dataset[T]):
    """The samples of a dataset with the given indices, in this order.

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
        """The dataset's index of the sample with index i here."""
        return self.indices[position_of(type(self).__name__, i, len(self.indices))]

    def __getitem__(self, i: Any) -> T:
        sample: T = self.dataset[[self._index(k) for k in i] if isinstance(i, (list, tuple)) else self._index(i)]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Sequence[T]:
        """A sequence of the samples with these indices."""
        if type(self).__getitem__ is not Subset.__getitem__:  # a subclass may change each sample
            return [self[i] for i in indices]
        positions = positions_of(type(self).__name__, indices, len(self.indices))
        return read_samples(self.dataset, [self.indices[position] for position in positions])


class ConcatDataset(Dataset[T]):
    """The concatenation of datasets.

    Parameters
    ----------
    datasets : iterable of Dataset
        At least one. Each has a length.

    Raises
    ------
    ValueError
        If there are no datasets.
    TypeError
        If a dataset has no length, or is an `IterableDataset`.

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

    def _locate(self, i: Any) -> tuple[int, int]:
        """The number of the dataset that has sample i, and the index of the sample there."""
        position = position_of(type(self).__name__, i, len(self))
        which = bisect_right(self.cumulative_sizes, position)
        return which, position - (self.cumulative_sizes[which - 1] if which else 0)

    def __getitem__(self, i: Any) -> T:
        which, index = self._locate(i)
        sample: T = self.datasets[which][index]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Sequence[T]:
        """A sequence of the samples with these indices. Each dataset is read once."""
        if type(self).__getitem__ is not ConcatDataset.__getitem__:  # a subclass may change each sample
            return [self[i] for i in indices]
        requests: dict[int, list[tuple[int, int]]] = {}  # dataset -> (position in the batch, index in the dataset)
        for position, i in enumerate(indices):
            which, index = self._locate(i)
            requests.setdefault(which, []).append((position, index))
        parts = [read_samples(self.datasets[which], [index for _, index in pairs]) for which, pairs in requests.items()]
        if len(parts) == 1:
            return parts[0]
        positions = [position for pairs in requests.values() for position, _ in pairs]
        order = sorted(range(len(positions)), key=positions.__getitem__)
        joined: Any = _join(parts, order)
        if joined is None:
            samples = [sample for part in parts for sample in part]
            joined = [samples[row] for row in order]
        batch: Sequence[T] = joined
        return batch


def _join(parts: list[Sequence[Any]], order: list[int]) -> ColumnBatch | None:
    """One batch of all parts with its samples in this order; None if the columns of the parts do not match."""
    columns = [part.columns for part in parts if isinstance(part, ColumnBatch)]
    layouts = {tuple([(x.shape[1:], x.dtype, x.device) for x in part]) for part in columns}
    if len(columns) < len(parts) or len(layouts) != 1:
        return None
    return ColumnBatch(_take_rows(tuple([ops.concat(pieces) for pieces in zip(*columns, strict=True)]), order))


class ChainDataset(IterableDataset[T]):
    """The concatenation of iterable datasets.

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
    """Whether a dataset yields its samples one after another, without an index."""
    # compare the class's name, so that PyTorch's datasets are recognised without importing PyTorch
    if any(base.__name__ == "IterableDataset" for base in type(dataset).__mro__):
        return True
    return hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__")


# -- split -------------------------------------------------------------------------------------------------------------
def _length(i: int, length: Any) -> float:
    """The length of part i as a Python number; it may be given as NumPy's."""
    if isinstance(length, Real) and not isinstance(length, bool) and float(length) >= 0:
        return int(length) if isinstance(length, Integral) else float(length)
    raise ValueError(f"random_split: length {i} is neither a non-negative integer nor a fraction in [0, 1]: {length!r}")


def random_split(dataset: Any, lengths: Sequence[float], seed: int | None = None) -> list[Subset[Any]]:
    """Split a dataset at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
        With a length, n.
    lengths : sequence of int or float
        Integers that sum to n, or fractions that sum to 1. For fractions, each part gets ``floor(fraction * n)``
        samples; the first parts get one of the remaining samples each.
    seed : int, optional
        The split depends only on the seed. Default: drawn from rustorch's random numbers, so that
        `rustorch.manual_seed` makes it repeatable.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        If a length is negative, or the lengths sum neither to n nor to 1.

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
    numbers = [_length(i, length) for i, length in enumerate(lengths)]
    total = math.fsum(numbers)
    if math.isclose(total, 1) and (n != 1 or any(isinstance(length, float) for length in numbers)):
        sizes = [math.floor(n * fraction) for fraction in numbers]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
        if 0 in sizes:
            warnings.warn(f"random_split: part {sizes.index(0)} of {n} samples is empty", stacklevel=2)
    elif any(isinstance(length, float) for length in numbers):
        raise ValueError(f"random_split: the fractions {numbers} sum to {total:g}, not to 1")
    elif sum(numbers) != n:
        raise ValueError(f"random_split: the lengths {numbers} sum to {sum(numbers)}, but the dataset has {n} samples")
    else:
        sizes = [int(length) for length in numbers]
    order = permutation(keyed_stream(given_or_drawn_seed("random_split", seed), _STREAM), n)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(accumulate(sizes), sizes, strict=True)]
