"""One pass through the batches that worker processes make ahead, in order."""

from __future__ import annotations

import contextlib
import pickle
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from .collate import move
from .processes import Workers
from .worker import EXHAUSTED, FAILED, Reply


class ProcessPrefetch:
    """An iterator over the batches of one pass, in the order of the tasks, which worker processes make ahead.

    Parameters
    ----------
    workers : Workers
    tasks : iterator
        Indices of batches; for a stream, any items without an end.
    ahead : int
        The largest number of tasks that are in work or finished, and not yet returned.
    key : tuple of int
        See `Pass`.
    first : int
        The number of the first task.
    n_skipped : int
        How many batches of a stream are read and dropped.
    device : str or None
        The device of the batches' arrays.
    is_last : bool
        Whether the workers end with this pass.
    """

    def __init__(
        self,
        workers: Workers,
        tasks: Iterator[Any],
        ahead: int,
        *,
        key: tuple[int, ...],
        first: int = 0,
        n_skipped: int = 0,
        device: str | None = None,
        is_last: bool = True,
    ):
        self._workers: Workers | None = workers
        self._tasks: Iterator[Any] | None = tasks
        self._ahead = ahead
        self._device, self._is_last = device, is_last
        self._n_skipped = n_skipped
        self._sent = self._returned = first
        self._worker_of: dict[int, int] = {}  # the workers of the tasks that have not been returned
        self._active = deque(range(workers.count))  # in the order of their turns
        self._replies: dict[int, Reply] = {}
        self._error: BaseException | None = None  # of the tasks' iterator, raised in its turn
        workers.user = weakref.ref(self)
        self._pass = workers.begin(key)
        self._send()

    def _send(self) -> None:
        """Send tasks to the workers in turn, up to the allowed number."""
        workers = self._workers
        while self._tasks is not None and self._active and self._sent - self._returned < self._ahead:
            try:
                item = next(self._tasks)
            except StopIteration:
                self._tasks = None
                return
            except Exception as error:  # raised after the batches before it
                self._error, self._tasks = error, None
                return
            worker = self._active[0]
            self._active.rotate(-1)
            assert workers is not None
            workers.send(worker, self._sent, item, self._n_skipped > len(self._worker_of))
            self._worker_of[self._sent] = worker
            self._sent += 1

    def __iter__(self) -> ProcessPrefetch:
        return self

    def __next__(self) -> Any:
        try:
            while self._returned < self._sent:
                reply = self._next_reply()
                if reply.outcome == FAILED:
                    raise _rebuilt(self._worker_of[self._returned], *reply.value)
                worker = self._worker_of.pop(self._returned)
                self._returned += 1
                if reply.outcome == EXHAUSTED:
                    self._exhausted(worker, reply.value)
                elif self._n_skipped:
                    self._n_skipped -= 1
                else:
                    self._send()
                    return self._batch(reply.value)
                del reply
                self._send()
            if self._error is not None:
                raise self._error
        except BaseException as error:
            self._error = None
            if not isinstance(error, Exception) and self._workers is not None:
                self._workers.close()  # an interrupt may have left half of a message in a pipe
            self._finish()
            raise
        self._finish()
        raise StopIteration

    def _batch(self, value: tuple[Any]) -> Any:
        return value[0] if self._device is None else move(value[0], self._device)

    def _next_reply(self) -> Reply:
        """The reply to the next task in order."""
        workers, number = self._workers, self._returned
        assert workers is not None
        while number not in self._replies:
            reply = workers.receive(self._worker_of[number], number)
            if reply.of_pass == self._pass:
                self._replies[reply.number] = reply
            del reply
        return self._replies.pop(number)

    def _exhausted(self, worker: int, asked: bool) -> None:
        """A worker has read its whole stream."""
        workers = self._workers
        assert workers is not None
        if worker in self._active:
            self._active.remove(worker)
        if workers.warns_of_copies and not asked:
            workers.warns_of_copies = False
            warnings.warn(
                f"DataLoader: each of the {workers.count} worker processes read its own copy of the iterable dataset, "
                f"so samples may come {workers.count} times. Let its __iter__ yield the part of "
                f'get_worker_info().id, or use worker="thread", whose workers share one stream',
                stacklevel=4,
            )

    def _finish(self) -> None:
        """Forget the rest of the pass, and let go of the workers."""
        self._tasks, self._sent = None, self._returned
        self._replies.clear()
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.user = None
            if self._is_last:
                workers.close()


def _rebuilt(worker: int, data: bytes | None, text: str, lines: str) -> BaseException:
    """The error of a worker, with the traceback of the worker in its notes."""
    error: BaseException | None = None
    if data is not None:
        with contextlib.suppress(Exception):
            error = pickle.loads(data)
    if not isinstance(error, BaseException):
        error = RuntimeError(f"DataLoader: worker process {worker} raised {text}")
    error.add_note(f"The traceback in worker process {worker} of the DataLoader:\n{lines.rstrip()}")
    return error
