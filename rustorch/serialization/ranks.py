"""The ranks that save one object together: an action that fails on one of them fails on all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..distributed.group import ProcessGroup, get_rank, resolved
from ..distributed.messages import all_gather_object, broadcast_object

__all__ = ["Ranks"]


class Ranks:
    """The ranks of a process group.

    Parameters
    ----------
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
    RuntimeError
        If there is no process group.
    ValueError
        If this process is not in the group.
    """

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self.group = resolved(group, "save")
        self.rank, self.size = self.group.rank, self.group.size
        self.have_failed = False
        if self.rank < 0:
            raise ValueError(f"save: rank {get_rank()} is not in {self.group}; only its members call it")

    def share(self, value: Any) -> Any:
        """The value of the first rank. It is one that JSON can hold."""
        return value if self.size == 1 else broadcast_object(value, self.in_world(0), self.group)

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks. They are ones that JSON can hold."""
        return [value] if self.size == 1 else all_gather_object(value, self.group)

    def in_world(self, rank: int) -> int:
        """The rank in the world of a rank of the group."""
        return self.group.ranks[rank]

    def number(self, rank: Any) -> int:
        """The number within the group of a rank of the world. Raises TypeError or ValueError if there is none."""
        return self.group.position(rank, "save")

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
