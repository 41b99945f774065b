"""The start and the end of the process group: which launcher runs, and what carries the arrays."""

from __future__ import annotations

import datetime
import os
import sys
from typing import Any

from .exchange import Alone, Exchange
from .group import ProcessGroup, state
from .watchdog import Watchdog

__all__ = ["destroy_process_group", "init_process_group", "is_available"]

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
    if "PMIX_RANK" in os.environ or ("SLURM_PROCID" in os.environ and "PMI_FD" in os.environ):
        return max(1, int(os.environ.get("SLURM_NTASKS", "1")))
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
    count = _launched_by_mpi()
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
            f"init_process_group: unknown backend {backend!r}; use 'mpi' or 'nccl', or None to choose for each array"
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
