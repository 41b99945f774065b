"""The start and the end of the process group: which launcher runs, and what carries the arrays."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Sequence
from typing import Any

from .checks import compare
from .exchange import Alone, Exchange
from .group import ProcessGroup, state, world
from .watchdog import Watchdog

__all__ = ["destroy_process_group", "init_process_group", "is_available", "new_group"]

#: Where launchers of MPI programs say how many processes they started: MPICH and Intel MPI, Open MPI, Slurm.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_BACKENDS = ("mpi", "nccl")
_CHECKS = {None: "sync", False: "off", True: "all"}
_watchdog: Watchdog | None = None


def is_available() -> bool:
    """Whether process groups can be used: always True, because one rank needs nothing. More need mpi4py or NCCL."""
    return True


def _launched_by_mpi() -> int:
    """How many processes a launcher of MPI programs started; 0 if this one was started without such a launcher."""
    for name in _SIZES:
        value = os.environ.get(name, "")
        if value.isdecimal():
            return int(value)
    by_slurm = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))  # of srun
    if by_slurm > 1 or "PMIX_RANK" in os.environ:
        return by_slurm
    running = sys.modules.get("mpi4py.MPI")
    return int(running.COMM_WORLD.size) if running is not None and running.COMM_WORLD.size > 1 else 0


def init_process_group(
    backend: str | None = None, timeout: float | datetime.timedelta | None = None, *, debug: bool | None = None
) -> None:
    """Start the group of all processes that a launcher started. Every process calls it, once, before anything else.

    Start a program with ``mpiexec -n 4 python -m mpi4py train.py``. Without a launcher the world has one rank, in which
    every function works.

    Parameters
    ----------
    backend : {"mpi", "nccl"}, optional
        What carries the arrays. By default, MPI carries arrays on the host, and NCCL arrays on GPUs, if each rank has a
        GPU of its own. Ranks that share a GPU exchange through MPI. "mpi" uses MPI alone. "nccl" refuses arrays that
        are not on a GPU. Under torchrun, "nccl" is the default and starts without MPI, from the variables that torchrun
        sets (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) and from RUSTORCH_TOKEN. This is a secret text,
        the same for all processes. A process without it cannot join the job.
    timeout : float or datetime.timedelta, optional
        How many seconds ranks wait for one that does not come to a collective. Then they end the job, and report what
        each rank waits for. Default: 600.
    debug : bool, optional
        Whether ranks compare what they call before an exchange. True compares all exchanges, also those in the
        background and on GPUs, and makes the ranks wait for one another. False compares none. None compares the
        exchanges through MPI that the ranks wait for anyway, which takes microseconds. The environment variable
        RUSTORCH_DISTRIBUTED_DEBUG, 0 or 1, replaces None.

    Raises
    ------
    RuntimeError
        If a group exists already, if mpi4py or NCCL is missing, or if mpiexec belongs to another MPI than mpi4py.
    ValueError
        If the backend is unknown.

    Examples
    --------
    >>> import rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.get_rank(), dist.get_world_size()
    (0, 1)
    >>> dist.destroy_process_group()
    """
    global _watchdog
    seconds, checks = _checked(backend, timeout, debug)
    # workers of torchrun also see the variables of a launcher that started torchrun itself
    count = 0 if "TORCHELASTIC_RUN_ID" in os.environ else _launched_by_mpi()
    if backend == "mpi" and not count and "RANK" in os.environ:
        count = int(os.environ.get("WORLD_SIZE", "1"))
    host: Exchange
    control: Any = None
    if backend == "mpi" or count:
        from . import mpi

        host = mpi.start(count)
        rank, size = mpi.rank_and_size(host)
        control = mpi.Control(count) if size > 1 else None
    elif "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":  # torchrun, and what sets the same
        from . import rendezvous_exchange

        host = met = rendezvous_exchange.start(seconds)
        rank, size, backend = met.rank, met.size, "nccl"
        control = met.control()
    else:
        host, rank, size = Alone(), 0, 1
    state.group = ProcessGroup(range(size), rank, host, None, backend)
    state.checks = checks
    if control is not None:
        _watchdog = Watchdog(control, seconds)
        _watchdog.start()


def _checked(backend: Any, timeout: Any, debug: Any) -> tuple[float, str]:
    """The time limit in seconds and what is compared, after the check of the arguments."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.current_process().name.startswith("rustorch data"):
        raise RuntimeError(
            "init_process_group: this process is a worker of a DataLoader, and no rank. Workers import the program: "
            'put what the program does under `if __name__ == "__main__":`'
        )
    if state.group is not None:
        raise RuntimeError(
            "init_process_group: the process group exists already; call it once, at the start of the program, or "
            "destroy_process_group() before"
        )
    if backend is not None and backend not in _BACKENDS:
        raise ValueError(
            f"init_process_group: unknown backend {backend!r}; use 'mpi' (on CPUs, where PyTorch has 'gloo') or "
            f"'nccl', or None to choose for each array"
        )
    seconds = timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else timeout
    seconds = 600.0 if seconds is None else seconds
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ValueError(f"init_process_group: timeout is a number of seconds above 0, not {timeout!r}")
    if debug is None:
        debug = {"0": False, "1": True}.get(os.environ.get("RUSTORCH_DISTRIBUTED_DEBUG", ""))
    if debug not in _CHECKS:
        raise ValueError(f"init_process_group: debug is True, False or None, not {debug!r}")
    return float(seconds), _CHECKS[debug]


def new_group(ranks: Sequence[int] | None = None) -> ProcessGroup:
    """A group of some of the ranks. All ranks of the world call it, also those that are not members.

    Parameters
    ----------
    ranks : sequence of int, optional
        The members: ranks of the world. Default: all.

    Returns
    -------
    ProcessGroup
        For the argument ``group`` of the collectives. Ranks that are not members may not use it.

    Raises
    ------
    ValueError
        If a rank does not exist or comes twice, or if the ranks do not all pass the same members.

    Examples
    --------
    >>> import rustorch.distributed as dist
    >>> dist.init_process_group()
    >>> dist.get_world_size(dist.new_group([0]))
    1
    >>> dist.destroy_process_group()
    """
    everyone = world("new_group")
    members = tuple(everyone.ranks if ranks is None else sorted(ranks))
    for rank in members:
        everyone.position(rank, "new_group")
    if len(set(members)) != len(members) or not members:
        raise ValueError(f"new_group: a group has at least one rank, and each once; these are {list(members)}")
    with everyone.calls.during(f"new_group({list(members)})"):
        compare(everyone, "new_group", "new_group()", everyone.exchange.checked, False)
        described = [part.decode() for part in everyone.exchange.gather_bytes(repr(list(members)).encode())]
        if len(set(described)) > 1:
            lines = "".join(f"\n  rank {rank}: {text}" for rank, text in enumerate(described))
            raise ValueError(f"new_group: all ranks pass the same members, and these differ:{lines}")
        position = members.index(everyone.rank) if everyone.rank in members else -1
        host = everyone.host.split(members) if everyone.host is not None else None
        gpu = everyone.exchange.split(members) if everyone.host is None else None
    group = ProcessGroup(members, position, host, gpu, everyone.backend)
    state.others.append(group)
    return group


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """End a group, or for None all groups. Every member calls it. For None, it waits until all ranks have called it.

    Raises
    ------
    RuntimeError
        If there is no such group.
    """
    global _watchdog
    from .collectives import barrier
    from .group import resolved

    found = resolved(group, "destroy_process_group")
    if group is not None and group is not state.group:
        state.others.remove(found)
        found.close()
        return
    barrier(found)
    if _watchdog is not None:
        _watchdog.stop()
        _watchdog = None
    for other in [*state.others, found]:
        other.close()
    state.others.clear()
    state.group = None
