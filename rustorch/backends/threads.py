"""The threads that share work: one team for compiled kernels and for NumPy's, of Python threads.

A compiled kernel runs without the interpreter, and so do the threads that share it. NumPy and BLAS release the
interpreter's lock while they compute, so a Python function that calls them can be shared, too. While it is, BLAS is
limited to one thread of its own for each; this needs the package threadpoolctl, which finds the libraries that compute
and sets their threads. Without it, such functions run in the calling thread.

The team serves one caller at a time. Another caller, or a thread of the team itself, works alone.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from time import monotonic
from typing import Any

from .team import Job, Team, member

#: The number of multiplications below which it takes longer to share work of NumPy than to do it.
LEAST = 1 << 22
#: The cost of a pass over one element, in multiplications of a matrix product.
PASS = 16
#: The number of elements in a block: temporaries stay small. Smaller blocks mean more calls, and the threads would wait
#: for each other at each call.
BLOCK = 1 << 20
#: Seconds. It is longer than the pause between two convolutions of a network.
PAUSE = 0.1
#: How often a thread looks for more work before it sleeps: about a millisecond.
SPINS = 2000

#: The largest number of threads: the compiled part of a team has a bit for each.
MOST = 63

at_exit = atexit.register


# -- how many ----------------------------------------------------------------------------------------------------------
_chosen: int | None = None


def default_num_threads() -> int:
    """``RUSTORCH_NUM_THREADS``, or ``OMP_NUM_THREADS``, or the number of processors that this process may use."""
    for name in ("RUSTORCH_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text.isdecimal() and int(text):
            return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """The number of threads that compute on device "cpu", the calling one included.

    It is what `set_num_threads` was given. Before, it is the environment variable ``RUSTORCH_NUM_THREADS``, else
    ``OMP_NUM_THREADS``, else the number of processors that the process may use: its affinity, which containers and
    batch systems set.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.get_num_threads() >= 1
    True
    """
    global _chosen
    if _chosen is None:
        _chosen = default_num_threads()
    return _chosen


def set_num_threads(count: int) -> None:
    """Compute with this number of threads on device "cpu".

    The threads of BLAS, which matrix products use, are set to the same number if the package threadpoolctl is
    installed.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    ValueError, TypeError
        If it is not a positive integer. Nothing changes then.

    Examples
    --------
    >>> import rustorch
    >>> before = rustorch.get_num_threads()
    >>> rustorch.set_num_threads(1)
    >>> rustorch.get_num_threads()
    1
    >>> rustorch.set_num_threads(before)
    """
    global _chosen
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"set_num_threads takes an integer, not {count!r}")
    if count < 1:
        raise ValueError(f"set_num_threads takes at least 1 thread, not {count}")
    with _lock:
        _chosen = count
        _dismiss()
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(count, user_api="blas")


def use_one_thread() -> None:
    """Let this process compute with one thread. A worker process of a data loader calls it once, because the workers
    share the cores.
    """
    set_num_threads(1)


# -- the team ----------------------------------------------------------------------------------------------------------
_team: Team | None = None
_lock = threading.RLock()
_left = False


def _dismiss() -> None:
    global _team
    team, _team = _team, None
    if team is not None:
        team.stop()


def _current_team() -> Team | None:
    """The team, or None where the calling thread should work alone."""
    global _team
    if _left or getattr(member, "on", False) or get_num_threads() < 2:
        return None
    if _team is None:
        with _lock:
            _team = _team or Team(min(get_num_threads(), MOST), SPINS)
    return _team


def leaving() -> bool:
    """Whether the interpreter is about to end."""
    return _left


@at_exit
def _leave() -> None:
    global _left
    _left = True
    with _lock:
        _dismiss()


def _forget() -> None:
    """Drop the threads: a forked process has none."""
    global _team, _lock, _blas
    _team, _lock, _blas = None, threading.RLock(), None
    member.on = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def share(packed: bytes, items: int, size: int, keep: Any) -> bool:
    """Run a compiled kernel with the team. Returns False if the caller should run it alone.

    Parameters
    ----------
    packed : bytes
        The kernel's address and its arguments.
    items : int
        The number of its items.
    size : int
        About the number of elements in all items. It decides how the items are cut.
    keep : tuple
        The arrays behind the arguments. They stay alive as long as a thread may use them.
    """
    team = _team or _current_team()
    if team is None or team.native is None or getattr(member, "on", False):
        return False
    if team.busy.locked() or not team.native.takes(packed):
        return False
    with team.busy:
        # four pieces a thread, so that one that comes late takes less
        team.run(packed, items, max(1, -(-items // (4 * team.count)), items * _GRAIN // size), keep)
    return True


#: Elements of a piece that one thread takes at least.
_GRAIN = 1 << 12


# -- BLAS --------------------------------------------------------------------------------------------------------------
class _Blas:
    """The threads of BLAS, which are limited to one while several of rustorch's threads call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._counts: list[int] = []
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError:
            self.known = False
            return
        self.known = True
        # the controllers themselves: a limit of threadpoolctl reads all that is known of each library first
        self._libraries: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers

    def limit(self, use: list[bool]) -> None:
        """Begin a use, which `release` ends. ``use`` is empty."""
        with self._lock:  # the first user saves the limits that the last one restores, whichever threads they are in
            use.append(True)
            self._users += 1
            if self._users == 1:
                self._counts = [library.num_threads for library in self._libraries]
                for library in self._libraries:
                    library.set_num_threads(1)

    def release(self, use: list[bool]) -> None:
        """End a use, if it has begun: an interrupt may have come first."""
        with self._lock:
            if use and self._users:
                use.clear()
                self._users -= 1
                if not self._users:
                    for library, count in zip(self._libraries, self._counts, strict=False):
                        library.set_num_threads(count)


_blas: _Blas | None = None
_last_used = float("-inf")


def in_use() -> bool:
    """Whether several threads worked on Python functions a moment ago, so that they will probably work again soon."""
    return monotonic() - _last_used < PAUSE


def with_one_blas_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that calls BLAS. BLAS uses one thread if rustorch's threads are in use: its own threads would
    stay awake for a while after their work, and slow down what rustorch's threads do next.
    """

    @wraps(function)
    def run(*args: Any) -> Any:
        if not in_use() or _blas is None:
            return function(*args)
        blas = _blas
        use: list[bool] = []
        try:
            blas.limit(use)
            return function(*args)
        finally:
            blas.release(use)

    return run


def spread(n: int, cost: float, work: Callable[[int, int], Any], mark_in_use: bool = True) -> list[Any]:
    """Call ``work(start, stop)`` for parts of ``range(n)``, in several threads. The parts cover the range.

    Parameters
    ----------
    n : int
        The number of samples.
    cost : float
        About how many multiplications all samples take.
    work : callable
        It is called from several threads at once, and writes only what belongs to its samples.
    mark_in_use : bool
        Whether `in_use` is true for a moment afterwards.

    Returns
    -------
    list
        The results of the calls, in order.
    """
    global _blas, _last_used
    if n < 2 or cost < LEAST:
        return [work(0, n)]
    team = _current_team()
    if _blas is None:
        with _lock:
            _blas = _blas or _Blas()
    blas = _blas
    if team is None or not blas.known or team.busy.locked():
        return [work(0, n)]
    if mark_in_use:
        _last_used = monotonic()
    count = min(team.count, n)
    job = Job(work, list(pairwise([n * i // count for i in range(count + 1)])))
    use: list[bool] = []
    with team.busy:
        try:
            blas.limit(use)
            team.offer(job)
            job.do()
        finally:  # after an error, too, no thread may write when this function returns
            try:
                team.conclude(job)
            finally:
                blas.release(use)
    if job.error is not None:
        raise job.error
    return job.results


def in_blocks(n: int, cost: float, size: int, work: Callable[[int, int], Any]) -> None:
    """Call ``work(start, stop)`` for blocks of at most ``size`` that cover ``range(n)``.

    This is for work between convolutions: all passes over a block are made while it is in the cache. The blocks are
    shared between rustorch's threads if these are in use.

    Parameters
    ----------
    n : int
        The number of elements, rows or samples.
    cost : float
        About how many multiplications all of them take.
    size : int
        The number of them in a block.
    work : callable
        It is called from several threads at once, and writes only what belongs to its block.
    """

    def part(first: int, stop: int) -> None:
        for start in range(first, stop, size):
            work(start, min(start + size, stop))

    if in_use():
        spread(n, cost, part, mark_in_use=False)
    else:
        part(0, n)
