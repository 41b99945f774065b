"""Work on many samples in Python threads. NumPy and BLAS release the interpreter lock, so the threads run in parallel.

While they run, BLAS is limited to one thread of its own for each. This needs the package threadpoolctl, which finds the
libraries that compute and sets their threads. Without it, everything runs in the calling thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import wraps
from itertools import pairwise
from time import monotonic
from typing import Any

#: The number of multiplications below which it takes longer to share work than to do it.
LEAST = 1 << 22
#: The cost of a pass over one element, in multiplications of a matrix product.
PASS = 16
#: The number of elements in a block: temporaries stay small. Smaller blocks mean more calls, and the threads would wait
#: for each other at each call.
BLOCK = 1 << 20
#: Seconds. It is longer than the pause between two convolutions of a network.
PAUSE = 0.1


class _Threads:
    """The threads, as many as BLAS would use. They are made when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self.last_used = monotonic()
        self._limits: Any = None
        # this imports logging, so not every program should pay for it
        from concurrent.futures import ThreadPoolExecutor, wait

        self.wait = wait
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError:
            self.count = 1
            return
        self._libraries = ThreadpoolController().select(user_api="blas")
        self.count = max([library.num_threads for library in self._libraries.lib_controllers], default=1)
        self.pool = ThreadPoolExecutor(self.count, "rustorch")

    def __enter__(self) -> None:
        with self._lock:  # the first user saves the limits that the last one restores, whichever threads they are in
            if not self._users:
                self._limits = self._libraries.limit(limits=1)
            self._users += 1

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limits.restore_original_limits()


_threads: _Threads | None = None
_lock = threading.Lock()


def _forget() -> None:
    """Drop the threads: a forked process has none."""
    global _threads, _lock
    _threads, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def in_use() -> bool:
    """Whether several threads worked a moment ago, so that they will probably work again soon."""
    return _threads is not None and _threads.count > 1 and monotonic() - _threads.last_used < PAUSE


def use_one_thread() -> None:
    """Let this process compute with one thread: the calling one, which is named after rustorch.

    A worker process of a data loader calls it once, because the workers share the cores.
    """
    threading.current_thread().name = "rustorch worker"  # `spread` starts no threads from such a thread
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def with_one_blas_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that calls BLAS. BLAS uses one thread if rustorch's threads are in use: its own threads would
    stay awake for a while after their work, and slow down what rustorch's threads do next.
    """

    @wraps(function)
    def run(*args: Any) -> Any:
        if not in_use():
            return function(*args)
        with _threads:  # type: ignore[union-attr]
            return function(*args)

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
    global _threads
    if n < 2 or cost < LEAST:
        return [work(0, n)]
    if _threads is None:
        with _lock:
            _threads = _threads or _Threads()
    threads, count = _threads, min(_threads.count, n)
    if count < 2 or threading.current_thread().name.startswith("rustorch"):
        return [work(0, n)]
    if mark_in_use:
        threads.last_used = monotonic()
    bounds = [n * i // count for i in range(count + 1)]
    with threads:
        run: Any = work
        futures = [threads.pool.submit(copy_context().run, run, *part) for part in pairwise(bounds[1:])]
        try:
            first = work(0, bounds[1])
        finally:  # after an error, too, no thread may write when this function returns
            threads.wait(futures)
    return [first, *[future.result() for future in futures]]


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
