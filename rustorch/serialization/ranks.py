"""The ranks that save one object together: an action that fails on one of them fails on all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Ranks"]


class Ranks:
    """The ranks of a process group. Without a process group, it is this process alone.

    Parameters
    ----------
    function : str
        The function that errors name.
    group : ProcessGroup, optional
        Default: all ranks.

    Attributes
    ----------
    rank : int
        The number of this process within the group.
    size : int
        The number of ranks.
    have_failed : bool
        Whether an action failed on one of them, as all of them know.

    Raises
    ------
    ValueError
        If this process is not in the group.
    """

    def __init__(self, function: str, group: Any = None) -> None:
        from .. import distributed

        self.group = group
        self.rank, self.size = 0, 1
        self.have_failed = False
        if group is not None or distributed.is_initialized():
            self.rank, self.size = distributed.get_rank(group), distributed.get_world_size(group)
            if self.rank < 0:
                raise ValueError(
                    f"{function}: rank {distributed.get_rank()} is not in {group}; only its members call it"
                )

    def share(self, value: Any) -> Any:
        """The value of the first rank. It is one that JSON can hold."""
        if self.size == 1:
            return value
        from .. import distributed

        return distributed.broadcast_object(value, self.in_world(0), group=self.group)

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks. They are ones that JSON can hold."""
        if self.size == 1:
            return [value]
        from .. import distributed

        return distributed.all_gather_object(value, group=self.group)

    def in_world(self, rank: int) -> int:
        """The rank in the world of a rank of the group."""
        from .. import distributed

        return rank if self.group is None else distributed.get_global_rank(self.group, rank)

    def number(self, rank: Any) -> int:
        """The number within the group of a rank of the world."""
        from .. import distributed

        if not isinstance(rank, int) or isinstance(rank, bool):
            raise TypeError(f"save: rank is the number of the rank that writes the file, not {type(rank).__name__}")
        if self.group is not None:
            return distributed.get_group_rank(self.group, rank)
        if not 0 <= rank < self.size:
            raise ValueError(f"save: the rank that writes the file is one of 0 to {self.size - 1}, not {rank}")
        return rank

    def run(self, action: Callable[[], Any]) -> list[Any]:
        """Run an action on each rank.

        Parameters
        ----------
        action : callable
            Its result is a value that JSON can hold. It exchanges nothing with other ranks, since one that has failed
            would not answer.

        Returns
        -------
        list
            The results of all ranks.

        Raises
        ------
        Exception
            What the action raised on this rank.
        RuntimeError
            If it raised only on others.
        """
        failure: Exception | None = None
        outcome: list[Any]
        try:
            outcome = [action(), None]
        except Exception as error:
            failure, outcome = error, [None, f"{type(error).__name__}: {error}"]
        outcomes = self.gather(outcome)
        self.have_failed = any(text is not None for _, text in outcomes)
        if failure is not None:
            raise failure
        for rank, (_, text) in enumerate(outcomes):
            if text is not None:
                raise RuntimeError(f"save: rank {self.in_world(rank)} failed, so that nothing was saved: {text}")
        return [result for result, _ in outcomes]
