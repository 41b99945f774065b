"""The compiled part of a team of threads: `team_work`, made callable from Python."""

from __future__ import annotations

import ctypes
import struct
import sys
from functools import cache
from typing import Any

import numpy

from . import team_work as work
from .kernel import _ENTRY, _SCRATCH, STATE, Kernel

_BEGIN = Kernel(work.begin, "i8[]", name="team_begin")
_FINISH = Kernel(work.finish, "i8[]", name="team_finish")
_SERVE = Kernel(work.serve, "i8[]", name="team_serve")
_FIRST = 8 * work.KERNEL
_LAST = 8 * work.THREAD


class Native:
    """The state of a team's threads between two pieces of work. See `team_work`."""

    def __init__(self, addresses: tuple[int, int, int], count: int, spins: int):
        self._begin, self._finish, self._serve = [_ENTRY(address) for address in addresses]
        self._array = numpy.zeros(work.WORDS, numpy.int64)
        self._words = self._array.data
        self._bytes = self._words.cast("B")
        self._argument = struct.pack("q", id(self._array))
        self._words[work.WORKERS] = min(count - 1, work.MOST)
        self._words[work.SPINS] = spins
        self._words[work.YIELD] = _yield_address()
        self.keep: Any = None

    def serve(self, thread: int) -> bool:
        """Take part in compiled work. Returns whether the thread should sleep until it is woken."""
        self._serve(_SCRATCH, _SCRATCH, self._argument, thread, 0)
        return self._words[work.THREAD + 8 * thread + work.REASON] == work.SLEEP

    def takes(self, packed: bytes) -> bool:
        """Whether the arguments of a kernel have room in the state."""
        return len(packed) <= _LAST - _FIRST

    def begin(self, packed: bytes, items: int, chunk: int) -> list[int]:
        """Offer a kernel. Returns the threads to wake."""
        self._bytes[_FIRST : _FIRST + len(packed)] = packed
        self._begin(_SCRATCH, _SCRATCH, self._argument, items, chunk)
        return self._sleepers()

    def offer(self) -> list[int]:
        """Send the threads back to the interpreter. Returns the threads to wake."""
        self._words[work.KERNEL] = 0
        self._begin(_SCRATCH, _SCRATCH, self._argument, 0, 1)
        return self._sleepers()

    def _sleepers(self) -> list[int]:
        wake = self._words[work.WAKE]
        return [i for i in range(self._words[work.WORKERS]) if wake >> i & 1] if wake else []

    def finish(self) -> None:
        """Take part in the kernel that was offered, and wait until nobody is in it."""
        if self._words[work.OPEN]:
            self._finish(_SCRATCH, _SCRATCH, self._argument, 0, 0)

    def stop(self) -> None:
        """Let the threads return."""
        self._words[work.STOPPED] = 1


def make(count: int, spins: int) -> Native | None:
    """The compiled part of a team of ``count`` threads, the caller's included; None if nothing is compiled here."""
    STATE.find_out()
    if STATE.problem or count < 2 or count - 1 > work.MOST:
        return None
    try:
        return Native(_addresses(), count, spins)
    except Exception as error:
        STATE.failures["team"] = f"{type(error).__name__}: {error}".split("\n")[0]
        return None


@cache
def _addresses() -> tuple[int, int, int]:
    """Where the compiled functions are. They are loaded once."""
    with STATE.lock:
        return _BEGIN.address("f4"), _FINISH.address("f4"), _SERVE.address("f4")


def _yield_address() -> int:
    """The address of the system's function that offers the processor to other threads."""
    library: Any = ctypes.CDLL("kernel32" if sys.platform == "win32" else None)
    function = library.SwitchToThread if sys.platform == "win32" else library.sched_yield
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address
