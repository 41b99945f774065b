"""How a loader makes batches: from indices or from a stream, and the progress of a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .collate import default_collate, move
from .dataset import ColumnBatch, read_samples


class Progress:
    """The position of one pass of a loader.

    Each pass has a progress of its own. The loader refers only to the progress of its latest pass, and not to the pass.

    Attributes
    ----------
    epoch : int
    batches : int
        The number of batches that were returned.
    begun : bool
    """

    def __init__(self, epoch: int, batches: int = 0, begun: bool = False):
        self.epoch, self.batches, self.begun = epoch, batches, begun

    def next_pass(self) -> Progress:
        """The progress of the next pass. A pass that has not begun begins now."""
        return Progress(self.epoch + 1, 0, True) if self.begun else Progress(self.epoch, self.batches, True)

    def finish(self) -> None:
        """Go to the start of the next epoch."""
        self.epoch, self.batches, self.begun = self.epoch + 1, 0, False


class BatchMaker:
    """A function from a task to a batch, which several threads may call. Here, a task is a list of samples.

    Parameters
    ----------
    collate : callable
        Makes a batch of samples.
    device : str or None
        The device of the batch's arrays; None leaves them where they are.
    """

    def __init__(self, collate: Callable[[Any], Any], device: str | None):
        self.collate, self.device = collate, device

    def samples(self, task: Any) -> Any:
        """The samples of a task."""
        return task

    def __call__(self, task: Any) -> Any:
        try:
            samples = self.samples(task)
            if isinstance(samples, ColumnBatch) and self.collate is not default_collate:
                samples = list(samples)  # a user's collate_fn expects a list
            batch = self.collate(samples)
        except StopIteration as error:  # it would end the loop without an error
            raise RuntimeError("the dataset or collate_fn raised StopIteration") from error
        return batch if self.device is None else move(batch, self.device)


class IndexedBatchMaker(BatchMaker):
    """A function from indices to a batch. A task is a list of indices; without batches, it is one index.

    Parameters
    ----------
    dataset : Dataset
    batched : bool
        Whether a task is a list of indices.
    collate, device
        As in `BatchMaker`.
    """

    def __init__(self, dataset: Any, batched: bool, collate: Callable[[Any], Any], device: str | None):
        super().__init__(collate, device)
        self.dataset, self.batched = dataset, batched

    def samples(self, task: Any) -> Any:
        """The samples with these indices, or the sample with this index."""
        return read_samples(self.dataset, task) if self.batched else self.dataset[task]


@dataclass(frozen=True)
class Recipe:
    """How the batches of a loader are made. It can be sent to another process, if the dataset can.

    Attributes
    ----------
    dataset : Dataset
    is_stream : bool
        Whether the dataset yields its samples one after another.
    is_batched : bool
        Whether samples are collected into batches.
    batch_size : int or None
    drop_last : bool
    collate : callable
        Makes a batch of samples; without batches, converts a sample.
    """

    dataset: Any
    is_stream: bool
    is_batched: bool
    batch_size: int | None
    drop_last: bool
    collate: Callable[[Any], Any]

    def maker(self, device: str | None = None) -> BatchMaker:
        """The function from a task to a batch."""
        if not self.is_stream:
            return IndexedBatchMaker(self.dataset, self.is_batched, self.collate, device)
        collate = self.collate
        return BatchMaker(collate if self.is_batched else lambda samples: collate(samples[0]), device)

    def stream(self) -> StreamBatches:
        """A new pass through an iterable dataset, whose items are tasks."""
        return StreamBatches(self.dataset, self.batch_size, self.drop_last)


class StreamBatches:
    """An iterable dataset, cut into lists of samples.

    Parameters
    ----------
    dataset : IterableDataset
    size : int or None
        The number of samples in a batch; None for single samples.
    drop_last : bool
    """

    def __init__(self, dataset: Any, size: int | None, drop_last: bool):
        self.samples = iter(dataset)
        self.size, self.drop_last = size, drop_last
        self.exhausted = False

    def read(self) -> list[Any]:
        """The samples of the next batch; an empty list at the end."""
        size = self.size or 1
        samples = [] if self.exhausted else list(islice(self.samples, size))
        self.exhausted = len(samples) < size
        return [] if self.exhausted and self.drop_last else samples
