"""The record of a group's collectives: how many were called, and which are not done yet.

The thread in `watchdog` reads it, to say what each rank waits for when one of them does not come.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from .work import Request

_PACKAGE = str(Path(__file__).parents[1])


class Call(NamedTuple):
    """A collective that is not done yet: its number in its group, what it is, when it began, and in which line."""

    number: int
    text: str
    since: float
    line: str


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
        self.open: dict[int, Call] = {}
        self.last = ""

    def begin(self, text: str) -> int:
        """Note that a collective begins, and return its number."""
        self.count = number = self.count + 1
        self.last = text
        self.open[number] = Call(number, text, time.monotonic(), line_of(sys._getframe(1)))
        return number

    def end(self, number: int) -> None:
        """Note that a collective is done."""
        self.open.pop(number, None)

    def oldest(self) -> Call | None:
        """The collective that has waited longest."""
        for call in self.open.copy().values():
            return call
        return None


class Watched:
    """A request that stays in the record until it is done."""

    def __init__(self, request: Request, calls: Calls, number: int):
        self._request = request
        self._calls = calls
        self._number = number

    def wait(self) -> None:
        try:
            self._request.wait()
        finally:
            self._calls.end(self._number)

    def done(self) -> bool:
        if self._request.done():
            self._calls.end(self._number)
            return True
        return False


def line_of(frame: Any) -> str:
    """``file:line in function`` of the innermost frame outside of rustorch."""
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
