"""DistributedSampler: each rank of a distributed run gets its own part of an order that all ranks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends import Backend
from .checks import checked_bool, checked_integer, length_of
from .dataset import is_stream
from .sampler import SeededSampler, permutation

_NAME = "DistributedSampler"


class DistributedSampler(SeededSampler):
    """The indices of one rank. All ranks together get every index, in an order that follows from the seed alone.

    Rank r of n gets the items r, r + n, r + 2n, ... of an order that all ranks share. So batch number k of all ranks
    together has the same samples as batch number k of one process whose ``batch_size`` is n times as large.

    Parameters
    ----------
    dataset : object with a length
        The same on every rank.
    num_replicas : int, optional
        The number of parts. Default: the number of ranks.
    rank : int, optional
        Which part, from 0. Default: the rank of this process. Ranks that share one part pass the same number, for
        example if one model is spread over them.
    shuffle : bool
        Whether each epoch has a random order of its own. It is that of ``RandomSampler(dataset, seed=seed)``.
    seed : int
        Not negative, and the same on every rank. The order of epoch e depends only on ``(seed, e)``.
    drop_last : bool
        Every rank gets the same number of indices. If the length is not divisible by the number of ranks, the first
        indices of the order come again at its end. With ``drop_last``, the last indices are left out instead.

    Attributes
    ----------
    dataset, num_replicas, rank, shuffle, seed, drop_last
        As given.
    epoch : int
        The number of the next epoch. Each pass adds 1, so `set_epoch` is not necessary.

    Raises
    ------
    ValueError
        If an argument is not as described, or the rank is not below the number of parts.
    TypeError
        If the dataset has no length, or is an `IterableDataset`.
    RuntimeError
        If ``num_replicas`` or ``rank`` is missing, and `rustorch.distributed.init_process_group` was not called.

    Examples
    --------
    >>> from rustorch.data import DistributedSampler
    >>> parts = [DistributedSampler(range(5), num_replicas=2, rank=rank, shuffle=False) for rank in range(2)]
    >>> [list(part) for part in parts]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        if is_stream(dataset):
            raise TypeError(
                f"{_NAME}: {type(dataset).__name__} is an iterable dataset, whose samples have no index. Let its "
                f"__iter__ skip the samples of other ranks: itertools.islice(samples, rank, None, world_size)"
            )
        length_of(_NAME, dataset, "the parts' length")
        self.shuffle = checked_bool(_NAME, "shuffle", shuffle)
        self.drop_last = checked_bool(_NAME, "drop_last", drop_last)
        if num_replicas is None or rank is None:
            from .. import distributed  # imported late: most programs have one process

            num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
            rank = distributed.get_rank() if rank is None else rank
        self.num_replicas = checked_integer(_NAME, "num_replicas", num_replicas, 1)
        self.rank = checked_integer(_NAME, "rank", rank)
        if self.rank >= self.num_replicas:
            raise ValueError(
                f"{_NAME}: rank {self.rank} of {self.num_replicas} parts; ranks are 0 to {self.num_replicas - 1}"
            )
        self.dataset = dataset
        # A drawn seed could differ between ranks, and then some samples would never come: None is refused, too.
        super().__init__(checked_integer(_NAME, "seed", seed))

    @property
    def num_samples(self) -> int:
        """The number of indices of each rank."""
        n = len(self.dataset)
        return n // self.num_replicas if self.drop_last else -(-n // self.num_replicas)

    @property
    def total_size(self) -> int:
        """The number of indices of all ranks together."""
        return self.num_samples * self.num_replicas

    def _order(self, stream: Backend) -> Sequence[int]:
        n, total = len(self.dataset), self.total_size
        order: Sequence[int] = permutation(stream, n) if self.shuffle else range(n)
        mine = range(self.rank, total, self.num_replicas)
        return [order[i if i < n else i % n] for i in mine]

    def __len__(self) -> int:
        return self.num_samples
