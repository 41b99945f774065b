"""DataLoader: iterate over a dataset in batches, with shuffling, background threads and states to resume from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from ..backends import resolve
from .batches import Progress, Recipe
from .checks import checked_bool, checked_integer, given_or_drawn_seed, length_of
from .collate import default_collate, default_convert
from .dataset import is_stream
from .options import (
    check_hints,
    check_kinds,
    check_worker_options,
    checked_prefetch_factor,
    names_of_true,
    part_of,
)
from .sampler import BatchSampler, RandomSampler, SeededSampler, SequentialSampler

if TYPE_CHECKING:
    from .processes import Workers


class DataLoader:
    """Iterate over a dataset in batches. Each pass of a training loop is one epoch.

    Batches come in the order of the sampler, with any number of workers. Epochs are numbered from 0, and the order of
    epoch e depends only on ``(seed, e)``. With `state_dict`, a run that was killed resumes within an epoch, with
    exactly the batches that it had not seen.

    Parameters
    ----------
    dataset : Dataset, or any object with ``__getitem__`` and ``__len__``; or an IterableDataset
        Lists and PyTorch's datasets, too.
    batch_size : int or None
        The number of samples in a batch. With None, samples come one by one, without a batch dimension; they may be
        batches already.
    shuffle : bool
        Whether each epoch has a random order of its own.
    sampler : Sampler or iterable of int, optional
        The order of the indices, in place of ``shuffle``.
    batch_sampler : Sampler or iterable of lists of int, optional
        Batches of indices, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
    num_workers : int
        The number of background workers that prepare batches ahead. With 0, the loop's thread makes each batch when it
        needs it.
    collate_fn : callable, optional
        Makes a batch of a list of samples. Default: `default_collate`, or `default_convert` for ``batch_size=None``.
    drop_last : bool
        Whether to drop a last batch that is smaller.
    prefetch_factor : int, optional
        The number of batches that each worker may be ahead of the loop. Default: 2, or None without workers.
    seed : int, optional
        The seed of the order, for ``shuffle`` and for a sampler that has a seed. Default: drawn from rustorch's random
        numbers when the loader is made, so that `rustorch.manual_seed` makes it repeatable.
    device : str, optional
        The device of the batches' arrays; workers move them in the background. Default: arrays stay on the dataset's
        device, and numbers go to the default device.
    worker : {"thread", "process"}
        Threads share the dataset: several of them call its ``__getitem__`` at the same time. NumPy releases the GIL
        while it copies and computes; a dataset that is slow in Python code gains nothing from threads. Each process has
        a copy of the dataset, and sends its batches through shared memory. Then the program must do its work under
        ``if __name__ == "__main__":``. The next four arguments are for processes. Threads refuse ``worker_init_fn``,
        and ignore the other three.
    worker_init_fn : callable, optional
        Each process calls it with its number, once, before its first batch.
    multiprocessing_context : str or context of multiprocessing, optional
        How processes are started. Default: "spawn". "fork" is faster, but not safe beside threads, MPI and CUDA.
    timeout : float
        The largest number of seconds to wait for a batch; 0 for no limit.
    persistent_workers : bool
        Whether the processes stay for the next epoch. Changes of the dataset after their start do not reach them.
    **hints
        PyTorch's arguments ``pin_memory``, ``pin_memory_device`` and ``in_order``. They have no effect.

    Attributes
    ----------
    dataset, batch_size, sampler, batch_sampler, num_workers, collate_fn, drop_last, prefetch_factor, device, worker, \
    worker_init_fn, multiprocessing_context, timeout, persistent_workers
        As given.

    Raises
    ------
    ValueError
        If a number is out of range or no integer, or arguments exclude each other.
    TypeError
        If the dataset is no dataset, or lacks a length that is needed, or an argument is unknown.

    Notes
    -----
    An error of the dataset is raised in the loop, in place of its batch, with its original traceback; a process's
    traceback is in the notes of the error. The workers end with the epoch, after an error, and when the loop is left.

    A process seeds its random numbers (rustorch's, Python's, NumPy's and, if it is imported, PyTorch's) before each
    batch. The seed follows from the loader's seed, the epoch, the number of the batch, and the rank.

    The result of a ``collate_fn`` is returned as it is. With ``device``, its arrays become Variables on that device.

    A sampler with ``set_epoch``, such as the random samplers here, gets the number of each epoch. For a random sampler
    without it, a resumed epoch has another order than the interrupted one.

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
        worker: str = "thread",
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        timeout: float = 0,
        persistent_workers: bool = False,
        **hints: Any,
    ):
        name = "DataLoader"
        check_hints(hints)
        self.num_workers = checked_integer(name, "num_workers", num_workers)
        self.prefetch_factor = checked_prefetch_factor(prefetch_factor, self.num_workers)
        check_worker_options(
            self.num_workers, worker, worker_init_fn, multiprocessing_context, timeout, persistent_workers
        )
        self.worker, self.worker_init_fn, self.multiprocessing_context = worker, worker_init_fn, multiprocessing_context
        self.timeout, self.persistent_workers = timeout, persistent_workers
        self._uses_processes = worker == "process" and self.num_workers > 0
        shuffle = checked_bool(name, "shuffle", False if shuffle is None else shuffle)
        self.drop_last = checked_bool(name, "drop_last", drop_last)
        check_kinds(sampler, batch_sampler, collate_fn)
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: a sampler decides the order, so shuffle=True cannot; leave one of them out")
        if batch_sampler is not None:
            excluded = names_of_true(
                batch_size=batch_size != 1, shuffle=shuffle, sampler=sampler is not None, drop_last=drop_last
            )
            if excluded:
                raise ValueError(f"DataLoader: batch_sampler decides what {excluded} would; leave one or the other out")
            batch_size = None
        elif batch_size is not None:
            batch_size = checked_integer(name, "batch_size", batch_size, 1)
        elif drop_last:
            raise ValueError("DataLoader: drop_last needs batches, and batch_size=None makes none")
        if seed is not None:
            seed = given_or_drawn_seed(name, seed)
        self.device = None if device is None else resolve(device)

        self._is_stream = is_stream(dataset)
        if self._is_stream:
            excluded = names_of_true(
                shuffle=shuffle, sampler=sampler is not None, batch_sampler=batch_sampler is not None
            )
            if excluded:
                raise ValueError(f"DataLoader: an iterable dataset has its own order; {excluded} cannot change it")
        elif not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"DataLoader: a dataset has __getitem__ and __len__, or __iter__; {type(dataset).__name__} has not"
            )
        elif sampler is None and batch_sampler is None:
            length_of(name, dataset, "an order of all samples")
            sampler = RandomSampler(dataset, seed=seed) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and sampler is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._is_batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._is_batched else default_convert)
        self._seed = seed or 0
        if seed is not None:
            self._reseed(seed)
        elif self._uses_processes and not hasattr(self._epoch_sampler, "seed"):
            self._seed = given_or_drawn_seed(name, None)  # the seeds of the processes follow from it
        self._progress = Progress(0)
        self._workers: Workers | None = None  # processes that stay from pass to pass

    # -- the order -----------------------------------------------------------------------------------------------------
    @property
    def _tasks(self) -> Any:
        """The sampler of the loader's tasks: of batches, or without batches of single indices."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    @property
    def _epoch_sampler(self) -> Any:
        """The sampler with ``set_epoch``, which may be inside other samplers; None if no sampler has it."""
        sampler = self._tasks
        while sampler is not None and not hasattr(sampler, "set_epoch"):
            sampler = getattr(sampler, "sampler", None)
        return sampler

    @property
    def seed(self) -> int:
        """The seed of the epochs' orders; 0 if nothing is random."""
        seed: int | None = getattr(self._epoch_sampler, "seed", None)
        return self._seed if seed is None else seed

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        sampler = self._epoch_sampler
        if hasattr(sampler, "seed"):
            sampler.seed = seed

    @property
    def epoch(self) -> int:
        """The number of the current epoch, or between two epochs of the next one."""
        return self._progress.epoch

    def set_epoch(self, epoch: int) -> None:
        """Start the next pass at the beginning of this epoch. Each pass adds 1 to the number by itself."""
        self._go_to(Progress(checked_integer("DataLoader.set_epoch", "epoch", epoch)))

    def _go_to(self, progress: Progress) -> None:
        """Start the next pass here, also if the epoch of the sampler was set before."""
        self._progress = progress
        if isinstance(sampler := self._epoch_sampler, SeededSampler):
            sampler.epoch_was_set = False

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if not self._is_stream:
            return len(self._tasks)
        n, size = length_of("DataLoader", self.dataset, "its own length"), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    # -- batches -------------------------------------------------------------------------------------------------------
    def __iter__(self) -> Iterator[Any]:
        progress, sampler = self._progress.next_pass(), self._epoch_sampler
        if isinstance(sampler, SeededSampler) and sampler.epoch_was_set and sampler.epoch != progress.epoch:
            progress = Progress(sampler.epoch, begun=True)  # the program called set_epoch of the sampler, as in PyTorch
        self._progress = progress
        return self._pass(progress)

    def _pass(self, progress: Progress) -> Iterator[Any]:
        batches = self._batches(progress.epoch, progress.batches)
        for batch in batches:
            progress.batches += 1
            yield batch
            del batch  # free it before the next batch is made
        progress.finish()

    def _batches(self, epoch: int, skip: int) -> Iterator[Any]:
        """The batches of an epoch, without the first ``skip``."""
        if (sampler := self._epoch_sampler) is not None:
            sampler.set_epoch(epoch)
            if isinstance(sampler, SeededSampler):  # this was no call of the program
                sampler.epoch_was_set = False
        recipe = Recipe(
            self.dataset, self._is_stream, self._is_batched, self.batch_size, self.drop_last, self.collate_fn
        )
        if self._uses_processes:
            return self._from_processes(recipe, epoch, skip)
        make = recipe.maker(self.device)
        read: Callable[[], list[Any]] | None = None
        if self._is_stream:
            stream = recipe.stream()
            for _ in range(skip):
                stream.read()
            read = stream.read
        if not self.num_workers:
            return map(make, iter(read, []) if read is not None else islice(iter(self._tasks), skip, None))
        from .prefetch import Prefetch  # imported late, because it imports modules for threads

        tasks = repeat(None) if read is not None else islice(iter(self._tasks), skip, None)
        return Prefetch(make, tasks, self.num_workers, self.num_workers * (self.prefetch_factor or 1), read)

    def _from_processes(self, recipe: Recipe, epoch: int, skip: int) -> Iterator[Any]:
        """The batches of an epoch, without the first ``skip``, which worker processes make."""
        from .process_prefetch import ProcessPrefetch  # imported late, because they import multiprocessing
        from .processes import Workers

        workers = self._workers
        if is_new := workers is None or not workers.is_free:
            workers = Workers(recipe, self.num_workers, self.worker_init_fn, self.multiprocessing_context, self.timeout)
            if self.persistent_workers and (self._workers is None or self._workers.is_closed):
                self._workers, is_new = workers, False
        return ProcessPrefetch(
            workers,
            repeat(None) if self._is_stream else islice(iter(self._tasks), skip, None),
            self.num_workers * (self.prefetch_factor or 1),
            key=(self.seed, epoch, part_of(self._epoch_sampler)),
            first=0 if self._is_stream else skip,
            n_skipped=skip if self._is_stream else 0,
            device=self.device,
            is_last=is_new,
        )

    # -- states --------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, int]:
        """The position of the loader, as integers that any file can hold.

        Returns
        -------
        dict
            ``seed``; ``epoch``, the number of the latest pass, or after its end of the next one; ``batches``, the
            number of batches of this pass that the loop has received. Batches that were only prepared do not count.

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
        """Resume from the position of a loader with the same data and options: the next pass returns the rest of its
        epoch.

        For an `IterableDataset`, the samples of the earlier batches are read and dropped.

        Parameters
        ----------
        state_dict : mapping
            The result of `state_dict`.

        Raises
        ------
        TypeError
            If the state is no mapping.
        ValueError
            If its names or numbers are not those of a state, or it has more batches than an epoch of this loader. Then
            the loader does not change.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"DataLoader.load_state_dict: a state is a dict, not {type(state_dict).__name__}")
        names = ("seed", "epoch", "batches")
        if wrong := sorted({*state_dict} ^ {*names}, key=str):
            raise ValueError(
                f"DataLoader.load_state_dict: a state has {', '.join(names)}; missing or unknown here: {wrong}"
            )
        seed, epoch, batches = (checked_integer("DataLoader.load_state_dict", name, state_dict[name]) for name in names)
        try:
            n = len(self)
        except TypeError:  # a stream or a sampler without a length
            n = batches
        if batches > n:
            raise ValueError(
                f"DataLoader.load_state_dict: {batches} batches of an epoch were handed out, but here it has {n}; were "
                f"data or batch_size others?"
            )
        self._reseed(seed)
        self._go_to(Progress(epoch, batches))
