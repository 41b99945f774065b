"""What a worker process knows of itself: get_worker_info."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class WorkerInfo:
    """A worker process of a `DataLoader`, as `get_worker_info` describes it.

    Attributes
    ----------
    id : int
        The number of this worker, from 0.
    num_workers : int
    seed : int
        A seed that no other worker has. It follows from the loader's seed, the epoch in which the worker started, the
        rank and the id.
    dataset : Dataset
        The worker's own copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None
_asked = False


def get_worker_info() -> WorkerInfo | None:
    """Which worker process of a `DataLoader` this is; None outside of them, also in worker threads.

    Each worker process has its own copy of an `IterableDataset`. Its ``__iter__`` asks this function which part of the
    samples the copy shall yield.

    Examples
    --------
    >>> import itertools
    >>> from rustorch.data import IterableDataset, get_worker_info
    >>> class Numbers(IterableDataset):
    ...     def __iter__(self):
    ...         info = get_worker_info()
    ...         if info is None:
    ...             return iter(range(10))
    ...         return itertools.islice(range(10), info.id, None, info.num_workers)
    >>> list(Numbers())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    global _asked
    _asked = True
    return _info


def set_worker_info(info: WorkerInfo) -> None:
    """Make this process a worker. A worker calls it once, at its start."""
    global _info
    _info = info


def was_asked() -> bool:
    """Whether anybody called `get_worker_info` in this process."""
    return _asked
