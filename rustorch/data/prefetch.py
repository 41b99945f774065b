"""Background threads that prepare batches ahead, in order. The first loader with workers imports this module."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from time import monotonic
from typing import Any

from ..autograd.modes import is_grad_enabled, set_grad_enabled
from ..backends import default_device, set_default_device

#: How a task ended: with a result, with an error, or because the stream has no more samples.
_DONE, _FAILED, _EXHAUSTED = range(3)
#: Seconds to wait for threads to end. A thread in the middle of a batch may take longer; it ends by itself later.
_JOIN_TIMEOUT = 1.0


class _Shared:
    """The state that the threads share with the iterator.

    The threads have no reference to the iterator, so that it can be collected while they wait.

    Parameters
    ----------
    make : callable
        Makes the result of a task.
    read : callable or None
        See `Prefetch`.
    """

    def __init__(self, make: Callable[[Any], Any], read: Callable[[], Any] | None):
        self.make = make
        self.read = read
        self.turn = threading.Lock()  # one thread at a time takes a task and reads its samples
        self.tasks: SimpleQueue[tuple[int, Any] | None] = SimpleQueue()
        self.results: SimpleQueue[tuple[int, int, Any]] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.closed = False

    def next_task(self) -> tuple[int, int, Any] | None:
        """The number of the next task, how its reading ended, and what was read; None at the end."""
        with self.turn:
            task = self.tasks.get()
            if task is None or self.closed:
                return None
            number, item = task
            # Give the result of the attempt no name here. An error's traceback refers to this frame; a name in this
            # frame would refer to the error, and the cycle would keep both alive.
            return number, *((_DONE, item) if self.read is None else _attempt(self.read))

    def close(self) -> None:
        """End the threads. Wait for them a moment, except if one of them calls this."""
        self.closed = True
        for _ in self.threads:
            self.tasks.put(None)
        deadline = monotonic() + _JOIN_TIMEOUT
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - monotonic()))
        # Empty the queue: an error in it refers to the frames of its thread, and these refer to the queue.
        while not self.results.empty():
            self.results.get()


def _attempt(function: Callable[..., Any], *args: Any) -> tuple[int, Any]:
    """Call a function, and return ``(_DONE, result)`` or ``(_FAILED, error)``."""
    try:
        return _DONE, function(*args)
    except BaseException as error:  # SystemExit too: the thread of the loop raises it
        return _FAILED, error


def _work(shared: _Shared, device: str, recording: bool) -> None:
    """Run tasks in a thread, with the default device and the grad mode of the loop's thread."""
    with set_default_device(device), set_grad_enabled(recording):
        while (task := shared.next_task()) is not None:
            number, outcome, value = task
            if outcome == _DONE and shared.read is not None and not value:
                outcome = _EXHAUSTED
            elif outcome == _DONE:
                outcome, value = _attempt(shared.make, value)
            if not shared.closed:
                shared.results.put((number, outcome, value))
            del task, value  # free the batch before this thread waits for the next task


class Prefetch:
    """An iterator over ``make(task)`` for each task, in the order of the tasks. Threads compute the results ahead.

    The loop's thread takes the tasks from their iterator. The threads end after the last task, after the first error,
    when the iterator is closed or collected, and when the interpreter exits.

    Parameters
    ----------
    make : callable
        Several threads call it at the same time.
    tasks : iterator
    workers : int
        The number of threads.
    ahead : int
        The largest number of tasks that are in work or finished, and not yet returned.
    read : callable, optional
        Replaces each task by its return value. One thread at a time calls it, without arguments. An empty list is the
        end.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        tasks: Iterator[Any],
        workers: int,
        ahead: int,
        read: Callable[[], Any] | None = None,
    ):
        self._shared = shared = _Shared(make, read)
        self._tasks: Iterator[Any] | None = tasks
        self._ahead = ahead
        self._sent = self._returned = 0
        self._results: dict[int, tuple[int, Any]] = {}  # received, but not in turn yet
        # finalize also runs at exit, before the interpreter stops the threads
        self.close = weakref.finalize(self, shared.close)
        self._send()
        for i in range(workers):
            thread = threading.Thread(
                target=_work, args=(shared, default_device(), is_grad_enabled()), name=f"rustorch data {i}", daemon=True
            )
            thread.start()
            shared.threads.append(thread)

    def _send(self) -> None:
        """Send tasks to the threads, up to the allowed number."""
        while self._tasks is not None and self._sent - self._returned < self._ahead:
            try:
                task = next(self._tasks)
            except StopIteration:
                self._tasks = None
            except Exception as error:  # raised in its turn, after the batches before it
                self._results[self._sent] = _FAILED, error
                self._sent += 1
                self._tasks = None
            else:
                self._shared.tasks.put((self._sent, task))
                self._sent += 1

    def __iter__(self) -> Prefetch:
        return self

    def __next__(self) -> Any:
        if self._returned == self._sent:
            self.close()
            raise StopIteration
        while self._returned not in self._results:
            number, outcome, value = self._shared.results.get()
            self._results[number] = outcome, value
            del value
        outcome, value = self._results.pop(self._returned)
        if outcome == _DONE:
            self._returned += 1
            self._send()
            return value
        self._tasks, self._sent = None, self._returned
        self._results.clear()
        self.close()
        if outcome == _EXHAUSTED:
            raise StopIteration
        try:
            raise value
        finally:
            del value  # its traceback refers to this frame, and a cycle would keep both alive
