"""A team of threads: Python threads that wait for work, share it, and sleep when there has been none for a moment.

`rustorch.backends.threads` has the one team of the process. Where kernels are compiled, the waiting is compiled, too:
see `rustorch.backends.numba.team_work`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

#: ``member.on`` is true in the threads of a team.
member = threading.local()


class Job:
    """Parts of one piece of work for Python, which threads take one after the other."""

    def __init__(self, work: Callable[[int, int], Any], parts: list[tuple[int, int]]):
        self._work, self._parts = work, parts
        self._next = 0
        self._lock = threading.Lock()
        self._helpers = 0
        self._closed = False
        self._context = [copy_context() for _ in parts]
        self._left = threading.Lock()  # released when the last helper leaves
        self._left.acquire()
        self.results: list[Any] = [None] * len(parts)
        self.error: BaseException | None = None

    def do(self) -> None:
        """Do parts until none is left."""
        while True:
            with self._lock:
                i = self._next
                self._next += 1
                if i >= len(self._parts) or self._closed:
                    return
            try:
                self.results[i] = self._context[i].run(self._work, *self._parts[i])
            except Exception as error:  # the caller raises it
                self.error = self.error or error

    def help(self) -> None:
        """Do parts in another thread than the caller's."""
        with self._lock:
            if self._closed:
                return
            self._helpers += 1
        try:
            self.do()
        except BaseException as error:
            self.error = self.error or error
        finally:
            with self._lock:
                self._helpers -= 1
                if not self._helpers and self._left.locked():
                    self._left.release()

    def close(self) -> None:
        """Let nobody begin another part, and wait until no helper is at work: then nothing is written any more."""
        with self._lock:
            self._closed = True
        while self._helpers:
            self._left.acquire(timeout=0.1)


class Team:
    """The caller's helpers: ``count - 1`` threads, which start when they are first needed."""

    def __init__(self, count: int, spins: int):
        self.count = count
        self.busy = threading.Lock()
        self.ticket = 0
        self.job: Job | None = None
        self.stopped = False
        self._idle: dict[int, bool] = {}
        self._wake = [threading.Lock() for _ in range(count - 1)]
        for lock in self._wake:
            lock.acquire()
        self.native = _native(count, spins)
        self._threads = [
            threading.Thread(target=self._serve, args=(i,), name=f"rustorch {i + 1}", daemon=True)
            for i in range(count - 1)
        ]
        for thread in self._threads:
            thread.start()

    def _serve(self, i: int) -> None:
        member.on = True
        seen = 0
        while True:
            if self.native is not None and self.native.serve(i):
                self._wake[i].acquire()
            elif self.native is None:
                self._idle[i] = True
                if self.ticket == seen or not self._idle.pop(i, False):
                    self._wake[i].acquire()
            if self.stopped:
                return
            seen, job = self.ticket, self.job
            if job is not None:
                job.help()

    def offer(self, job: Job) -> None:
        """Let the threads take part in a piece of work for Python. ``busy`` is locked."""
        if self.native is not None:
            self.native.finish()  # an interrupt may have left a piece of work open
        self.job = job
        self.ticket += 1
        if self.native is not None:
            for i in self.native.offer():
                self._wake[i].release()
            return
        for i in range(self.count - 1):
            if self._idle.pop(i, False):
                self._wake[i].release()

    def conclude(self, job: Job) -> None:
        """End a piece of work for Python, whatever interrupts it: when this returns or raises, nobody is in it."""
        interrupt: BaseException | None = None
        while True:
            try:
                self.job = None
                if self.native is not None:
                    self.native.finish()
                job.close()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def run(self, packed: bytes, items: int, chunk: int, keep: Any) -> None:
        """Run a compiled kernel. ``busy`` is locked."""
        native = self.native
        assert native is not None
        native.finish()  # an interrupt may have left a piece of work open
        native.keep = keep  # after an interrupt, threads may still be at work
        try:
            for i in native.begin(packed, items, chunk):
                self._wake[i].release()
        finally:
            native.finish()
        native.keep = None

    def stop(self) -> None:
        """End the threads, after what they are doing."""
        with self.busy:
            self.stopped = True
            if self.native is not None:
                self.native.stop()
            for i, lock in enumerate(self._wake):
                if self.native is not None or self._idle.pop(i, False):
                    with contextlib.suppress(RuntimeError):
                        lock.release()
            if self.native is None:
                self.offer(Job(lambda start, stop: None, []))
        for thread in self._threads:
            thread.join()


def _native(count: int, spins: int) -> Any:
    """The compiled part of a team, or None without compiled kernels."""
    from .numba.availability import wanted

    if not wanted():
        return None
    from .numba import team

    return team.make(count, spins)
