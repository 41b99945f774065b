"""Several exchanges one after the other, on a stream of their own: the program's stream waits for none of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import cupy

from ..base import Array

__all__ = ["Ordered"]


class _Running:
    """Exchanges in progress."""

    def __init__(self, arrays: Sequence[Array], gpu: Any):
        #: Their memory must not be given to others before the exchanges are done.
        self.arrays: Sequence[Array] = arrays
        self._gpu = gpu
        self.event = cupy.cuda.Event(disable_timing=True)

    def wait(self) -> None:
        """Let what is launched from now on, on the current stream, run after the exchanges. The host does not wait."""
        with self._gpu:
            cupy.cuda.get_current_stream().wait_event(self.event)

    def done(self) -> bool:
        """Whether the exchanges are done."""
        return bool(self.event.done)


class Ordered:
    """A stream of one GPU on which exchanges wait for one another."""

    def __init__(self, array: Array):
        self._gpu = cupy.cuda.Device(array.device.id)
        self._running: deque[_Running] = deque()
        with self._gpu:
            self._stream = cupy.cuda.Stream(non_blocking=True)

    def launch(self, body: Callable[[], None], arrays: Sequence[Array]) -> _Running:
        """Call ``body`` with this stream as the current one, after what the current stream has to do first.

        Parameters
        ----------
        body : callable
            It starts exchanges and waits for them, as `Pending.wait` does: only this stream waits.
        arrays : sequence of array
            What the exchanges read and write.
        """
        while self._running and self._running[0].done():
            self._running.popleft()
        with self._gpu:
            before = cupy.cuda.Event(disable_timing=True)
            before.record(cupy.cuda.get_current_stream())
            self._stream.wait_event(before)
            running = _Running(arrays, self._gpu)
            with self._stream:
                body()
            running.event.record(self._stream)
        self._running.append(running)
        return running
