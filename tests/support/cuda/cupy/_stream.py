"""Streams and events. Kernels run when they are launched; exchanges of NCCL end when somebody waits for them.

A stream counts what is launched on it, and knows how much of each other stream it has waited for. So an exchange can
check that it was ordered after the kernels that made its arrays, and what it writes stays hidden until a stream or the
host waits for it.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from . import _device, _log

#: How often an event says that it is not done.
_LATE = 20

_numbers = itertools.count(0x1000)
_thread = threading.local()
#: The streams in use, by device and address. The address of a device's null stream is 0.
_STREAMS: weakref.WeakValueDictionary[tuple[int, int], Stream] = weakref.WeakValueDictionary()
_NULL: dict[int, Stream] = {}


class Stream:
    """A queue of launches on one GPU."""

    null: Any

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None):
        self.device_id = _device.current()
        self.ptr = 0 if null else next(_numbers)
        self.is_non_blocking = non_blocking
        #: How many launches there were, and how many of another stream this one has waited for.
        self._count = 0
        #: The place of the last kernel in the queue.
        self._kernels = 0
        self._seen: dict[Stream, int] = {}
        #: The exchanges that nobody has waited for: their place in the queue, what ends them, and their memory.
        self._pending: list[tuple[int, Callable[[], None], Sequence[Any]]] = []
        self._before: list[Any] = []
        if not null:
            _STREAMS[self.device_id, self.ptr] = self

    def __repr__(self) -> str:
        return f"<Stream {self.ptr:#x} (device {self.device_id})>"

    def _add(self, finish: Callable[[], None], memory: Sequence[Any]) -> None:
        """Queue an exchange. It ends at once if its results are used on this same stream."""
        self._count += 1
        if get_current_stream() is self:
            finish()
        else:
            self._pending.append((self._count, finish, memory))

    def _end(self, count: int) -> None:
        """End what is among the first ``count`` launches."""
        while self._pending and self._pending[0][0] <= count:
            self._pending.pop(0)[1]()

    def _check_order(self, name: str, memory: Sequence[Any]) -> None:
        """Fail if what uses the memory now may still run when what is launched here begins."""
        current = get_current_stream()
        ordered_by_itself = 0 in (current.ptr, self.ptr) and not (current.is_non_blocking or self.is_non_blocking)
        assert current is self or ordered_by_itself or self._seen.get(current, 0) >= current._kernels, (
            f"{name} on {self} is not ordered after the kernels that were launched on {current}: let its stream wait "
            f"for an event that was recorded there"
        )
        for stream in _all_streams():
            for count, _, used in list(stream._pending):
                if any(one.overlaps(other) for one in memory for other in used):
                    assert stream is self, f"{name} on {self} uses an array of an exchange that runs on {stream}"
                    self._end(count)  # it is ordered after that one

    def record(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        for stream, count in event._reached.items():
            self._seen[stream] = max(count, self._seen.get(stream, 0))
            stream._end(count)

    def synchronize(self) -> None:
        _log.record("sync", "streamSynchronize")
        self._end(self._count)

    @property
    def done(self) -> bool:
        self._end(self._count)
        return True

    def use(self) -> Stream:
        self._enter()
        return self

    def _enter(self) -> None:
        assert self.device_id == _device.current(), f"{self} is used while GPU {_device.current()} is the current one"
        streams = _thread.__dict__.setdefault("streams", {})
        streams[self.device_id] = self
        self._end(self._count)  # what comes next here is ordered after it

    def __enter__(self) -> Stream:
        before = get_current_stream()
        self._enter()
        self._before.append(before)
        return self

    def __exit__(self, *error: Any) -> None:
        _thread.streams[self.device_id] = self._before.pop()


class _NullStream:
    """``Stream.null``: the null stream of the current GPU."""

    def __get__(self, instance: Any, owner: Any) -> Stream:
        return null_stream()


Stream.null = _NullStream()


class Event:
    """A point in a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False):
        self._reached: dict[Stream, int] = {}
        self._asked = 0

    def record(self, stream: Stream | None = None) -> None:
        stream = null_stream() if stream is None else stream
        assert stream.device_id == _device.current(), (
            f"an event of {stream} is recorded while GPU {_device.current()} is the current one"
        )
        self._reached = {**stream._seen, stream: stream._count}
        self._asked = 0

    @property
    def done(self) -> bool:
        """False the first times that it is asked, as on a GPU that is late. Asking does not wait."""
        waits = any(stream._pending and stream._pending[0][0] <= count for stream, count in self._reached.items())
        self._asked += 1
        if waits and self._asked < _LATE:
            return False
        self._end()
        return True

    def _end(self) -> None:
        for stream, count in self._reached.items():
            stream._end(count)

    def synchronize(self) -> None:
        _log.record("sync", "eventSynchronize")
        self._end()


def null_stream() -> Stream:
    """The null stream of the current GPU."""
    number = _device.current()
    if number not in _NULL:
        _NULL[number] = Stream(null=True)
    return _NULL[number]


def get_current_stream(device_id: int | None = None) -> Stream:
    """The stream on which kernels of the current GPU are launched in this thread."""
    number = _device.current() if device_id is None else device_id
    found = _thread.__dict__.get("streams", {}).get(number)
    if found is None:
        with _device.Device(number):
            found = null_stream()
    return found


def _all_streams() -> list[Stream]:
    return [*_NULL.values(), *_STREAMS.values()]


def of_address(address: int) -> Stream:
    """The stream of the current GPU with this address."""
    return null_stream() if not address else _STREAMS[_device.current(), address]


def synchronize(device: int) -> None:
    """End everything on a GPU."""
    for stream in _all_streams():
        if stream.device_id == device:
            stream._end(stream._count)


def _kernel() -> None:
    stream = get_current_stream()
    stream._count += 1
    stream._kernels = stream._count


_log.on_launch = _kernel
