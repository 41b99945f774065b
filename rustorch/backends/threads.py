"""Work on many samples in Python threads: NumPy and BLAS let go of the interpreter, and BLAS is told to leave the cores
to them.

Needs threadpoolctl, which finds the libraries that compute and their threads; without it everything runs in the calling
thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import wraps
from itertools import pairwise
from time import monotonic
from typing import Any

#: Multiplications below which handing work over takes longer than it saves.
LEAST = 1 << 22
#: What a pass over an element costs, in multiplications of a matrix product.
PASS = 16
#: Elements at a time: temporaries stay small. With more calls than that the threads would wait for each other at every
#: one.
BLOCK = 1 << 20
#: Seconds: longer than what lies between two convolutions of a network.
MOMENT = 0.1


class _Threads:
    """The threads, and how many of them BLAS would use; made when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.last = monotonic()
        self._before: Any = None
        from concurrent.futures import (
            ThreadPoolExecutor,
            wait,
        )  # which import logging: not for those who need none of it

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
        with self._lock:  # the first one in saves what the last one out restores, whichever threads they are
            if not self._inside:
                self._before = self._libraries.limit(limits=1)
            self._inside += 1

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.restore_original_limits()


_threads: _Threads | None = None
_lock = threading.Lock()


def _forget() -> None:
    """In a process that was forked, there are no threads."""
    global _threads, _lock
    _threads, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def awake() -> bool:
    """Whether work was spread over several threads a moment ago, so that more of it is to be expected."""
    return _threads is not None and _threads.count > 1 and monotonic() - _threads.last < MOMENT


def alone(function: Callable) -> Callable:
    """The function, which calls BLAS, without BLAS's threads in a program that has its own: they stay awake for a while
    after their work, and would be in the way of what is spread next.
    """

    @wraps(function)
    def run(*args: Any) -> Any:
        if not awake():
            return function(*args)
        with _threads:  # type: ignore[union-attr]
            return function(*args)

    return run


def spread(n: int, cost: float, work: Callable[[int, int], Any], keep_awake: bool = True) -> list[Any]:
    """``work(start, stop)`` for parts of ``range(n)`` that cover it.

    Parameters
    ----------
    n : int
        How many samples.
    cost : float
        How many multiplications they take, about.
    work : callable
        Called from several threads at once; writes only what belongs to its samples.
    keep_awake : bool
        Whether it counts for `awake`.

    Returns
    -------
    list
        What it returned, in order.
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
    if keep_awake:
        threads.last = monotonic()
    bounds = [n * i // count for i in range(count + 1)]
    with threads:
        run: Any = work
        futures = [threads.pool.submit(copy_context().run, run, *part) for part in pairwise(bounds[1:])]
        try:
            first = work(0, bounds[1])
        finally:  # nobody writes any more when this returns
            threads.wait(futures)
    return [first, *[future.result() for future in futures]]


def in_blocks(n: int, cost: float, size: int, work: Callable[[int, int], Any]) -> None:
    """``work(start, stop)`` for blocks of ``size`` and less that cover ``range(n)``: what lies between convolutions,
    one pass after the other while the block is in the cache, and shared out among their threads as long as these are
    awake.

    Parameters
    ----------
    n : int
        How many elements, rows or samples.
    cost : float
        How many multiplications all of them take, about.
    size : int
        How many of them at a time.
    work : callable
        Called from several threads at once; writes only what belongs to its block.
    """

    def part(first: int, stop: int) -> None:
        for start in range(first, stop, size):
            work(start, min(start + size, stop))

    if awake():
        spread(n, cost, part, keep_awake=False)
    else:
        part(0, n)
