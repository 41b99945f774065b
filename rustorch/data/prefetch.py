"""Batches made ahead by background threads, in order. Imported by the first loader that has workers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from time import monotonic
from typing import Any

from ..autograd.modes import is_grad_enabled, set_grad_enabled
from ..backends import default_device, set_default_device

#: How an attempt ended.
_MADE, _FAILED, _ENDED = range(3)
#: Seconds that somebody waits for threads to end which may be in the middle of a batch; they end by themselves later.
_PATIENCE = 1.0


class _Line:
    """What the threads and the loop share. The threads know nothing else, so the iterator can be collected while they
    wait.
    """

    def __init__(self, make: Callable[[Any], Any], read: Callable[[], Any] | None):
        self.make = make
        self.read = read
        self.turn = threading.Lock()  # tasks are taken, and read, one after another
        self.tasks: SimpleQueue = SimpleQueue()
        self.results: SimpleQueue = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.closed = False

    def next_task(self) -> tuple[int, int, Any] | None:
        """(number, how reading it ended, what was read), or None when there are no more."""
        with self.turn:
            task = self.tasks.get()
            if task is None or self.closed:
                return None
            number, item = task
            # without a name: an error knows the frames that it went through, and they must not know it
            return number, *((_MADE, item) if self.read is None else _attempt(self.read))

    def close(self) -> None:
        """End the threads; wait for them a moment, unless this is one of them."""
        self.closed = True
        for _ in self.threads:
            self.tasks.put(None)
        deadline = monotonic() + _PATIENCE
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - monotonic()))
        while not self.results.empty():  # an error in there holds its thread's frames, and they hold this
            self.results.get()


def _attempt(function: Callable[..., Any], *args: Any) -> tuple[int, Any]:
    try:
        return _MADE, function(*args)
    except BaseException as error:  # also SystemExit: the loop decides what becomes of it
        return _FAILED, error


def _work(line: _Line, device: str, recording: bool) -> None:
    """What a thread does, with the default device and the grad mode of the thread in which the loop is."""
    with set_default_device(device), set_grad_enabled(recording):
        while (task := line.next_task()) is not None:
            number, how, value = task
            if how == _MADE and line.read is not None and not value:
                how = _ENDED
            elif how == _MADE:
                how, value = _attempt(line.make, value)
            if not line.closed:
                line.results.put((number, how, value))
            del task, value  # not kept while waiting for the next


class Prefetch:
    """An iterator over ``make(task)`` for each task, in the order of the tasks, which threads compute ahead.

    Tasks are taken from their iterator in the thread of the loop. The threads end with the tasks, with the first error,
    and when the iterator is closed, collected, or left behind at the interpreter's exit.

    Parameters
    ----------
    make : callable
        Called from several threads at once.
    tasks : iterator
    workers : int
        How many threads.
    ahead : int
        How many tasks may be under way, or done and not handed out.
    read : callable, optional
        Called without arguments, by one thread at a time, for each task; what it returns goes to ``make`` in the task's
        place. Nothing (an empty list) is the end.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        tasks: Iterator[Any],
        workers: int,
        ahead: int,
        read: Callable[[], Any] | None = None,
    ):
        self._line = line = _Line(make, read)
        self._tasks: Iterator[Any] | None = tasks
        self._ahead = ahead
        self._sent = self._handed = 0
        self._arrived: dict[int, tuple[int, Any]] = {}
        self.close = weakref.finalize(self, line.close)  # at exit, too: before the threads would be cut off
        self._send()
        for i in range(workers):
            thread = threading.Thread(
                target=_work, args=(line, default_device(), is_grad_enabled()), name=f"rustorch data {i}", daemon=True
            )
            thread.start()
            line.threads.append(thread)

    def _send(self) -> None:
        while self._tasks is not None and self._sent - self._handed < self._ahead:
            try:
                task = next(self._tasks)
            except StopIteration:
                self._tasks = None
            except Exception as error:  # arrives in its turn, behind the batches before it
                self._arrived[self._sent] = _FAILED, error
                self._sent += 1
                self._tasks = None
            else:
                self._line.tasks.put((self._sent, task))
                self._sent += 1

    def __iter__(self) -> Prefetch:
        return self

    def __next__(self) -> Any:
        if self._handed == self._sent:
            self.close()
            raise StopIteration
        while self._handed not in self._arrived:
            number, how, value = self._line.results.get()
            self._arrived[number] = how, value
            del value
        how, value = self._arrived.pop(self._handed)
        if how == _MADE:
            self._handed += 1
            self._send()
            return value
        self._tasks, self._sent = None, self._handed
        self._arrived.clear()
        self.close()
        if how == _ENDED:
            raise StopIteration
        try:
            raise value
        finally:
            del value
