"""Groups of ranks: who belongs to them, and what carries their arrays."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

from ..backends import Array, Backend, of
from .calls import Calls
from .exchange import Alone, Exchange

__all__ = [
    "ProcessGroup", "get_backend", "get_global_rank", "get_group_rank", "get_process_group_ranks", "get_rank",
    "get_world_size", "is_initialized", "local_rank",
]  # fmt: skip


class ProcessGroup:
    """Some of the ranks of a job. `new_group` and `init_process_group` make it.

    Attributes
    ----------
    ranks : tuple of int
        The members: their ranks in the world.
    rank : int
        This process's rank in the group; -1 if it is not a member.
    size : int
        The number of members.
    """

    _numbers = itertools.count()

    def __init__(
        self, ranks: Sequence[int], rank: int, host: Exchange | None, gpu: Exchange | None, backend: str | None
    ):
        self.ranks = tuple(ranks)
        self.rank = rank
        self.size = len(self.ranks)
        self.calls = Calls(next(self._numbers), self.ranks)
        self.host = host
        self._gpu = gpu
        self._gpu_tried = gpu is not None
        self.backend = backend

    def __repr__(self) -> str:
        return f"<group of ranks {', '.join(map(str, self.ranks))}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> ProcessGroup:
        return self  # a copy of a module that has a group exchanges with the same ranks

    def check_member(self, function: str) -> None:
        """Raise ValueError if this process is not a member."""
        if self.rank < 0:
            raise ValueError(f"{function}: rank {get_rank()} is not in the group of ranks {self.ranks}")

    def exchange_for(self, array: Array, function: str) -> Exchange:
        """What carries an array of this kind, after the check that this process is a member."""
        self.check_member(function)
        if type(self.host) is Alone and self.backend != "nccl":
            return self.host
        backend = of(array)
        assert backend is not None
        if backend.name == "cuda" and self.backend != "mpi":
            gpu = self._connected(backend, array)
            if gpu is not None:
                return gpu
        if self.backend == "nccl" or self.host is None:
            raise ValueError(
                f"{function}: NCCL exchanges arrays on GPUs, and this one is on {backend.device_of(array)!r}; move it "
                f"with .to('cuda'), or call init_process_group() without a backend under mpiexec, which exchanges both"
            )
        return self.host

    def _connected(self, backend: Backend, array: Array) -> Exchange | None:
        """The exchange over NCCL, where every rank has a GPU of its own. All ranks ask for it in the same call."""
        if not self._gpu_tried and self.host is not None:
            from . import nccl

            required = self.backend == "nccl"
            with self.calls.during("connect the GPUs by NCCL"):
                found = nccl.connect(self.host, self.rank, self.size, backend, array, required=required)
            self._gpu, self._gpu_tried = found, True
            if found is not None:
                self._watch_gpu(found.oldest)
        return self._gpu

    def _watch_gpu(self, oldest: Callable[[], tuple[str, float] | None]) -> None:
        """Let the watchdog ask which exchange on the GPU has run longest."""
        calls = getattr(self.calls, "original", self.calls)  # while a trace is recorded, another record is before it
        calls.on_gpu = oldest

    def exchange_for_message(self, array: Array, function: str) -> Exchange:
        """What carries an array to one other rank: MPI, or NCCL where there is no MPI.

        Raises
        ------
        RuntimeError
            If NCCL would have to connect all ranks first, which only a call of all of them can do.
        """
        backend = of(array)
        assert backend is not None
        on_gpu = backend.name == "cuda"
        if self.host is not None and self.host.name == "mpi" and (on_gpu or self.backend != "nccl"):
            return self.host
        if on_gpu and self.rank >= 0 and self.size > 2 and not self._gpu_tried:
            raise RuntimeError(
                f"{function}: without MPI, the first exchange of a group connects the GPUs of all its ranks; call "
                f"all_reduce or broadcast with a GPU array on all {self.size} ranks before"
            )
        return self.exchange_for(array, function)

    @property
    def exchange(self) -> Exchange:
        """What carries bytes: MPI if there is one."""
        found = self.host or self._gpu
        assert found is not None
        return found

    def position(self, rank: int, function: str) -> int:
        """The number within the group of a rank of the world."""
        if type(rank) is not int:
            raise TypeError(f"{function}: a rank is an int, not {type(rank).__name__}")
        if rank not in self.ranks:
            raise ValueError(f"{function}: rank {rank} is not in the group, which has the ranks {self.ranks}")
        return self.ranks.index(rank)

    def close(self) -> None:
        """Free the exchanges."""
        for exchange in (self._gpu, self.host):
            if exchange is not None and self.rank >= 0:
                exchange.close()


class _World:
    """The state of this process."""

    group: ProcessGroup | None = None
    others: list[ProcessGroup]
    checks = "sync"

    def __init__(self) -> None:
        self.others = []


state = _World()


def world(function: str = "rustorch.distributed") -> ProcessGroup:
    """The group of all ranks.

    Raises
    ------
    RuntimeError
        If there is none.
    """
    if state.group is None:
        raise RuntimeError(
            f"{function}: there is no process group; call rustorch.distributed.init_process_group() first (it also "
            f"works in a single process)"
        )
    return state.group


def resolved(group: ProcessGroup | None, function: str) -> ProcessGroup:
    """The group, or the world for None."""
    everyone = world(function)
    if group is None:
        return everyone
    if not isinstance(group, ProcessGroup):
        raise TypeError(f"{function}: group must come from new_group(), not {type(group).__name__}")
    if group is not everyone and group not in state.others:
        raise RuntimeError(f"{function}: the group of ranks {group.ranks} was destroyed")
    return group


def is_initialized() -> bool:
    """Whether `init_process_group` was called, and `destroy_process_group` was not called since."""
    return state.group is not None


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's rank in the world, or in a group: 0 to size - 1; -1 for a group that it does not belong to.

    Raises
    ------
    RuntimeError
        If there is no process group.
    """
    return resolved(group, "get_rank").rank


def get_world_size(group: ProcessGroup | None = None) -> int:
    """The number of ranks of the world, or of a group; -1 for a group that this process does not belong to.

    Raises
    ------
    RuntimeError
        If there is no process group.
    """
    found = resolved(group, "get_world_size")
    return found.size if found.rank >= 0 else -1


def get_backend(group: ProcessGroup | None = None) -> str:
    """What carries the arrays of a group: "mpi", "nccl", or "alone" for one rank without a launcher.

    It is "mpi" also where NCCL carries arrays on GPUs beside MPI.
    """
    found = resolved(group, "get_backend")
    if found.rank < 0:  # what carries its arrays is known to its members alone
        return get_backend()
    return found.backend or found.exchange.name


def get_process_group_ranks(group: ProcessGroup | None = None) -> list[int]:
    """The ranks in the world of a group's members."""
    return list(resolved(group, "get_process_group_ranks").ranks)


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The rank within a group of a rank of the world."""
    return resolved(group, "get_group_rank").position(global_rank, "get_group_rank")


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The rank in the world of a rank within a group."""
    found = resolved(group, "get_global_rank")
    if not 0 <= group_rank < found.size:
        raise ValueError(f"get_global_rank: the group has ranks 0 to {found.size - 1}, not {group_rank}")
    return found.ranks[group_rank]


#: Where launchers say which process on its host this one is: MPICH and Intel MPI, Open MPI, Slurm, torchrun. Workers of
#: torchrun also see the variables of a launcher that started torchrun itself.
_LOCAL_RANKS = ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK")


def local_rank() -> int:
    """The number of this process among those on the same host: which GPU to take, as in ``f"cuda:{local_rank()}"``.

    The launcher sets an environment variable with this number. Without a launcher it is 0.
    """
    names = ("LOCAL_RANK", *_LOCAL_RANKS) if "TORCHELASTIC_RUN_ID" in os.environ else _LOCAL_RANKS
    for name in names:
        value = os.environ.get(name, "")
        if value.isdecimal():
            return int(value)
    return 0
