"""The record of a group's collectives: how many were called, and which are not done yet.

The thread in `watchdog` reads it, to say what each rank waits for when one of them does not come.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .work import Request

_PACKAGE = str(Path(__file__).parents[1])


class Call(NamedTuple):
    """A call that is not done yet.

    Attributes
    ----------
    number : int
        For a collective, how many its group had called with it, which is the same on all ranks; 0 for send and recv.
    text : str
        The function with what has to be equal on all ranks.
    since : float or None
        When the program began to wait for it, by ``time.monotonic``; None while nobody waits for it.
    line : str
        Where it was called.
    partners : tuple of int
        The ranks of the world that it waits for.
    """

    number: int
    text: str
    since: float | None
    line: str
    partners: tuple[int, ...]

    def __str__(self) -> str:
        return f"collective {self.number}, {self.text}" if self.number else self.text


class Calls:
    """The collectives of one group.

    Attributes
    ----------
    key : int
        The number of the group: the same one on all ranks, which make groups in the same order.
    ranks : tuple of int
        The members' ranks in the world.
    count : int
        How many collectives this rank has called.
    """

    def __init__(self, key: int, ranks: tuple[int, ...]):
        self.key = key
        self.ranks = ranks
        self.count = 0
        #: What the group's oldest exchange on a GPU is, and when it began, if one runs: `end` does not wait for it.
        self.on_gpu: Callable[[], tuple[str, float] | None] = lambda: None
        self._open: dict[int, Call] = {}
        self._keys = itertools.count()

    def begin(self, text: str, partners: tuple[int, ...] = ()) -> int:
        """Note that a call begins: a collective, or send or recv with ``partners``. `end` takes what it returns."""
        if not partners:
            self.count += 1
        key = next(self._keys)
        line = line_of(sys._getframe(1))
        self._open[key] = Call(0 if partners else self.count, text, time.monotonic(), line, partners or self.ranks)
        return key

    def during(self, text: str) -> _During:
        """A context in which this rank waits for the others, in a collective of this name."""
        return _During(self, text)

    def wait(self, key: int, waits: bool = True) -> None:
        """Note that the program waits for the end of a call, or that it does not, and goes on."""
        call = self._open.get(key)
        if call is not None and (call.since is not None) != waits:
            self._open[key] = call._replace(since=time.monotonic() if waits else None)

    def end(self, key: int) -> None:
        """Note that a call is done."""
        self._open.pop(key, None)

    def oldest(self) -> Call | None:
        """The first call that the program waits for."""
        for call in self._open.copy().values():
            if call.since is not None:
                return call
        running = self.on_gpu()
        if running is None:
            return None
        what, since = running
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        return Call(self.count, f"or an earlier one: {what} runs on the GPU", since, line_of(frame), self.ranks)


class _During:
    """A collective that begins and ends with a ``with`` statement."""

    def __init__(self, calls: Calls, text: str):
        self._calls = calls
        self._text = text

    def __enter__(self) -> None:
        self._key = self._calls.begin(self._text)

    def __exit__(self, *exc: object) -> None:
        self._calls.end(self._key)


class Watched:
    """A request that stays in the record until it is done, or until the program drops it.

    The program waits for it from the first call of `wait` or `done` on, or, if ``waits``, from the beginning.
    """

    def __init__(self, request: Request, calls: Calls, key: int, waits: bool):
        self._request = request
        self._calls = calls
        self._key = key
        calls.wait(key, waits)

    def wait(self) -> None:
        self._calls.wait(self._key)
        try:
            self._request.wait()
        finally:
            self._calls.end(self._key)

    def done(self) -> bool:
        self._calls.wait(self._key)
        if self._request.done():
            self._calls.end(self._key)
            return True
        return False

    def __del__(self) -> None:
        self._calls.end(self._key)


def line_of(frame: Any) -> str:
    """``file:line in function`` of the innermost frame outside of rustorch."""
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
