"""DataLoader: a dataset in batches, shuffled by a seed, made ahead in threads, on a device; a run that was killed goes
on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

from ..backends import resolve
from .checks import flag, length_of, seed_of, whole
from .collate import default_collate, default_convert, moved
from .dataset import Gathered, is_stream, samples_of
from .sampler import BatchSampler, RandomSampler, SequentialSampler

#: What PyTorch's loader asks for about its processes, which is without effect here.
_HINTS = ("pin_memory", "pin_memory_device", "persistent_workers", "multiprocessing_context", "timeout", "in_order")
#: What it takes and what is done here instead.
_INSTEAD = {
    "generator": "the order of the epochs follows from seed=...",
    "worker_init_fn": "the workers are threads and share the dataset, which is as it was made",
}


class _Progress:
    """How far a pass is. One for each pass: the loader knows the latest, and no pass."""

    def __init__(self, epoch: int, batches: int = 0, begun: bool = False):
        self.epoch, self.batches, self.begun = epoch, batches, begun

    def following(self) -> _Progress:
        """The pass after this one; or this one, if it has not begun."""
        return _Progress(self.epoch + 1, 0, True) if self.begun else _Progress(self.epoch, self.batches, True)

    def finish(self) -> None:
        self.epoch, self.batches, self.begun = self.epoch + 1, 0, False


class _Maker:
    """From a task to a batch: what threads call. Tasks are here the samples themselves."""

    def __init__(self, collate: Callable[[Any], Any], device: str | None):
        self.collate, self.device = collate, device

    def samples(self, task: Any) -> Any:
        return task

    def __call__(self, task: Any) -> Any:
        try:
            samples = self.samples(task)
            if isinstance(samples, Gathered) and self.collate is not default_collate:
                samples = list(samples)  # what a collate_fn of the user's expects
            batch = self.collate(samples)
        except StopIteration as error:  # would end the loop as if there were no more
            raise RuntimeError("the dataset or collate_fn raised StopIteration") from error
        return batch if self.device is None else moved(batch, self.device)


class _ByIndex(_Maker):
    """Tasks are indices: of a batch's samples, or of one sample that is a batch by itself."""

    def __init__(self, dataset: Any, batched: bool, *options: Any):
        super().__init__(*options)
        self.dataset, self.batched = dataset, batched

    def samples(self, task: Any) -> Any:
        return samples_of(self.dataset, task) if self.batched else self.dataset[task]


class _Stream:
    """An iterable dataset, cut into batches."""

    def __init__(self, dataset: Any, size: int | None, drop_last: bool):
        self.samples = iter(dataset)
        self.size, self.drop_last = size, drop_last
        self.ended = False

    def read(self) -> list:
        """The samples of the next batch; none at the end."""
        size = self.size or 1
        samples = [] if self.ended else list(islice(self.samples, size))
        self.ended = len(samples) < size
        return [] if self.ended and self.drop_last else samples


class DataLoader:
    """A dataset in batches: what a training loop goes through, once per epoch.

    Batches come in the order of the sampler, whatever the number of workers. Each pass is an epoch, numbered from 0;
    the order of epoch e is a function of ``(seed, e)`` alone. With `state_dict` a run that was killed goes on within an
    epoch, with exactly the batches that it had not seen.

    Parameters
    ----------
    dataset : Dataset, or any object with ``__getitem__`` and ``__len__``; or an IterableDataset
        Lists and PyTorch's datasets, too.
    batch_size : int or None
        How many samples a batch has. None: samples come one by one, without a batch's axis (or are batches already).
    shuffle : bool
        Whether each epoch has a random order of its own.
    sampler : Sampler or iterable of int, optional
        The order, in place of ``shuffle``.
    batch_sampler : Sampler or iterable of lists of int, optional
        Whole batches of indices, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
    num_workers : int
        How many background threads make batches ahead; 0: they are made in the loop's thread, when it asks. The dataset
        is not copied: its ``__getitem__`` is called from several threads at once. (NumPy lets others run while it
        copies and computes; a dataset that is slow in Python itself gains nothing from threads.)
    collate_fn : callable, optional
        Makes a batch of a list of samples. Default: `default_collate`, or `default_convert` for ``batch_size=None``.
    drop_last : bool
        Whether to leave out a last batch that is smaller.
    prefetch_factor : int, optional
        How many batches each worker may be ahead of the loop. Default 2; without workers, None.
    seed : int, optional
        Of the order: for ``shuffle``, and for a sampler that has a seed. Default: drawn from rustorch's random numbers
        when the loader is made, so that `rustorch.manual_seed` makes it repeatable.
    device : str, optional
        Where the arrays of the batches shall be; with workers, they are moved in the background. Default: where the
        dataset has them, and for numbers the default device.
    **hints
        ``pin_memory``, ``persistent_workers``, ``timeout`` and their like, which are about PyTorch's processes: taken,
        and without effect.

    Attributes
    ----------
    dataset, batch_size, sampler, batch_sampler, num_workers, collate_fn, drop_last, prefetch_factor, device
        As given.

    Raises
    ------
    ValueError
        If a number is out of its range or no integer, or arguments exclude each other.
    TypeError
        If the dataset is none, or has no length where one is needed, or an argument is unknown.

    Notes
    -----
    An error of the dataset arrives in the loop, where its batch would have come, with the traceback it had. Threads end
    with the epoch, with an error, and when the loop is left.

    What a ``collate_fn`` returns is handed out as it is; with ``device``, its arrays become Variables there.

    A sampler that has ``set_epoch`` (as the random ones here have) is told the number of each epoch. Where one has not,
    and its order is random, a resumed epoch cannot know which samples came before.

    Examples
    --------
    >>> import numpy as np
    >>> from rustorch.data import ArrayDataset, DataLoader
    >>> data = ArrayDataset(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    >>> for x, y in DataLoader(data, batch_size=2):
    ...     print(x.shape, y)
    (2, 2) Variable([0, 1])
    (1, 2) Variable([0])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        *,
        drop_last: bool = False,
        prefetch_factor: int | None = None,
        seed: int | None = None,
        device: str | None = None,
        **hints: Any,
    ):
        name = "DataLoader"
        for what, value in hints.items():
            if what not in _HINTS and (what not in _INSTEAD or value is not None):
                raise TypeError(
                    f"DataLoader has no argument {what!r}" + (f": {_INSTEAD[what]}" if what in _INSTEAD else "")
                )
        self.num_workers = whole(name, "num_workers", num_workers)
        if prefetch_factor is not None and not self.num_workers:
            raise ValueError(
                "DataLoader: prefetch_factor is of background threads, and there are none; set num_workers, too"
            )
        self.prefetch_factor = prefetch_factor
        if self.num_workers:
            self.prefetch_factor = 2 if prefetch_factor is None else whole(name, "prefetch_factor", prefetch_factor, 1)
        shuffle = flag(name, "shuffle", False if shuffle is None else shuffle)
        self.drop_last = flag(name, "drop_last", drop_last)
        for what, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None and not hasattr(value, "__iter__"):
                raise TypeError(f"DataLoader: a {what} is an iterable of indices, not {type(value).__name__}")
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(
                f"DataLoader: a collate_fn is a function of a list of samples, not {type(collate_fn).__name__}"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: a sampler decides the order, so shuffle=True cannot; leave one of them out")
        if batch_sampler is not None:
            others = {
                "batch_size": batch_size != 1,
                "shuffle": shuffle,
                "sampler": sampler is not None,
                "drop_last": drop_last,
            }
            if excluded := [other for other, is_given in others.items() if is_given]:
                raise ValueError(
                    f"DataLoader: batch_sampler decides what {', '.join(excluded)} would; leave one or the other out"
                )
            batch_size = None
        elif batch_size is not None:
            batch_size = whole(name, "batch_size", batch_size, 1)
        elif drop_last:
            raise ValueError("DataLoader: drop_last is of batches, and batch_size=None makes none")
        if seed is not None:
            seed = seed_of(name, seed)
        self.device = None if device is None else resolve(device)

        self._stream = is_stream(dataset)
        if self._stream:
            others = {"shuffle": shuffle, "sampler": sampler is not None, "batch_sampler": batch_sampler is not None}
            if excluded := [other for other, is_given in others.items() if is_given]:
                raise ValueError(
                    f"DataLoader: an iterable dataset has its own order; {', '.join(excluded)} cannot change it"
                )
        elif not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"DataLoader: a dataset has __getitem__ and __len__, or __iter__; {type(dataset).__name__} has not"
            )
        elif sampler is None and batch_sampler is None:
            length_of(name, dataset, "an order of all samples")
            sampler = RandomSampler(dataset, seed=seed) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and not self._stream:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)  # type: ignore[arg-type]

        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self._seed = seed or 0
        if seed is not None:
            self._reseed(seed)
        self._progress = _Progress(0)

    # -- the order -----------------------------------------------------------------------------------------------------
    @property
    def _order(self) -> Any:
        """The sampler that is told the epoch, which may be inside of others; None if there is none."""
        found: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        while found is not None and not hasattr(found, "set_epoch"):
            found = getattr(found, "sampler", None)
        return found

    @property
    def seed(self) -> int:
        """What the order of each epoch follows from; 0 if nothing is random."""
        seed = getattr(self._order, "seed", None)
        return self._seed if seed is None else seed

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        if hasattr(self._order, "seed"):
            self._order.seed = seed

    @property
    def epoch(self) -> int:
        """The number of the epoch that is under way, or else of the next one."""
        return self._progress.epoch

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of this number, from its beginning. (They count on by themselves.)"""
        self._progress = _Progress(whole("DataLoader.set_epoch", "epoch", epoch))

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if not self._stream:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        n, size = length_of("DataLoader", self.dataset, "its own length"), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    # -- batches -------------------------------------------------------------------------------------------------------
    def __iter__(self) -> Iterator[Any]:
        self._progress = self._progress.following()
        return self._pass(self._progress)

    def _pass(self, progress: _Progress) -> Iterator[Any]:
        batches = self._batches(progress.epoch, progress.batches)
        for batch in batches:
            progress.batches += 1
            yield batch
            del batch  # not kept while the next is made
        progress.finish()

    def _batches(self, epoch: int, skip: int) -> Iterator[Any]:
        """The batches of an epoch, but for the first ones."""
        if (order := self._order) is not None:
            order.set_epoch(epoch)
        make: _Maker
        if self._stream:
            stream = _Stream(self.dataset, self.batch_size, self.drop_last)
            for _ in range(skip):
                stream.read()
            collate = self.collate_fn
            make = _Maker(collate if self._batched else lambda samples: collate(samples[0]), self.device)
            tasks, read = iter(stream.read, []), stream.read
        else:
            make = _ByIndex(self.dataset, self._batched, self.collate_fn, self.device)
            tasks = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
            tasks, read = islice(tasks, skip, None), None
        if not self.num_workers:
            return map(make, tasks)
        from .prefetch import Prefetch  # which imports what has to do with threads

        ahead = self.num_workers * (self.prefetch_factor or 1)
        return Prefetch(make, tasks if read is None else repeat(None), self.num_workers, ahead, read)

    # -- states --------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, int]:
        """Where the loader is, as plain numbers for any file.

        Returns
        -------
        dict
            ``seed``; ``epoch``, the number of the latest pass (the next one, after its end); ``batches``, how many of
            it have been handed out. Batches that were made ahead and not handed out do not count.

        Examples
        --------
        >>> from rustorch.data import DataLoader
        >>> loader = DataLoader(range(6), batch_size=2, shuffle=True, seed=7)
        >>> for batch in loader:
        ...     state = loader.state_dict()
        ...     break
        >>> state
        {'seed': 7, 'epoch': 0, 'batches': 1}
        >>> other = DataLoader(range(6), batch_size=2, shuffle=True)
        >>> other.load_state_dict(state)
        >>> len(list(other)), len(list(other))
        (2, 3)
        """
        return {"seed": self.seed, "epoch": self._progress.epoch, "batches": self._progress.batches}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where a loader of the same data and options was: the next pass hands out what is left of its
        epoch.

        An `IterableDataset` is read, and the samples of the batches before are dropped.

        Parameters
        ----------
        state_dict : mapping
            As `state_dict` returned it.

        Raises
        ------
        TypeError
            If it is no mapping.
        ValueError
            If names or numbers are not those of such a state, or it is of a loader with more batches. Nothing has
            changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"DataLoader.load_state_dict: a state is a dict, not {type(state_dict).__name__}")
        names = ("seed", "epoch", "batches")
        if wrong := sorted({*state_dict} ^ {*names}, key=str):
            raise ValueError(
                f"DataLoader.load_state_dict: a state has {', '.join(names)}; missing or unknown here: {wrong}"
            )
        seed, epoch, batches = (whole("DataLoader.load_state_dict", name, state_dict[name]) for name in names)
        try:
            n = len(self)
        except TypeError:  # a stream or a sampler that does not tell
            n = batches
        if batches > n:
            raise ValueError(
                f"DataLoader.load_state_dict: {batches} batches of an epoch were handed out, but here it has {n}; were "
                f"data or batch_size "
                f"others?"
            )
        self._reseed(seed)
        self._progress = _Progress(epoch, batches)
