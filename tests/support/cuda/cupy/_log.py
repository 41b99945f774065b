"""What a GPU and the bus to it would have had to do: one event for each launch, each wait of the host, each copy from
the host.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

#: Frames of these folders are never what caused an event.
_INSIDE = tuple(
    [
        os.path.join(part, "")
        for part in (os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "array_api_compat")
    ]
)


class _Event(NamedTuple):
    kind: str
    name: str


class Event(_Event):
    """One thing that happened.

    Attributes
    ----------
    kind : str
        "launch" (something was queued), "sync" (the host waited), "h2d" (a copy from the host's memory), or "other".
    name : str
        The function or the kernel.
    callers : tuple of (str, int)
        For what a training step should not do ("sync" and "h2d"): the files and lines that asked for it, the innermost
        one first.
    """

    callers: tuple[tuple[str, int], ...] = ()

    @property
    def where(self) -> str:
        """The callers, to be read."""
        return " < ".join([f"{os.path.join(*Path(file).parts[-2:])}:{line}" for file, line in self.callers])


#: All events, the latest one last. Whoever counts clears it first.
LOG: list[Event] = []


def record(kind: str, name: str) -> None:
    """Add an event to the log."""
    event = Event(kind, name)
    if kind in ("sync", "h2d"):
        event.callers = _callers()
    LOG.append(event)


def launch(name: str, size: int = 1) -> None:
    """Add a launch to the log; over no elements nothing is launched."""
    if size:
        LOG.append(Event("launch", name))


def _callers(most: int = 4) -> tuple[tuple[str, int], ...]:
    """The innermost lines that belong neither to this stand-in nor to array-api-compat."""
    frame: FrameType | None = sys._getframe(2)
    found: list[tuple[str, int]] = []
    while frame is not None and len(found) < most:
        file = frame.f_code.co_filename
        if not file.startswith(_INSIDE[0]) and _INSIDE[1] not in file:
            found.append((file, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)
