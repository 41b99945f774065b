"""The log of events: each launch, each wait of the host for the GPU, and each copy from the host to a GPU."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

#: Code in these folders is never named as the cause of an event.
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
    """One entry of the log.

    Attributes
    ----------
    kind : str
        "launch" (a kernel was queued), "sync" (the host waited), "h2d" (a copy from the host to a GPU), or "other".
    name : str
        The function or the kernel.
    callers : tuple of (str, int)
        For "sync" and "h2d", which a training step should avoid: the files and lines of the calls that led to the
        event. The innermost call is first.
    """

    callers: tuple[tuple[str, int], ...] = ()

    @property
    def where(self) -> str:
        """The callers as text."""
        return " < ".join([f"{os.path.join(*Path(file).parts[-2:])}:{line}" for file, line in self.callers])


#: All events, the latest one last. Clear it before you count.
LOG: list[Event] = []


def on_launch() -> None:
    """Count a launch on the current stream. `_stream` puts its own function here."""


def record(kind: str, name: str) -> None:
    """Add an event to the log."""
    event = Event(kind, name)
    if kind in ("sync", "h2d"):
        event.callers = _callers()
    if kind == "h2d":
        on_launch()
    LOG.append(event)


def launch(name: str, size: int = 1) -> None:
    """Add a launch to the log. For 0 elements there is no launch."""
    if size:
        on_launch()
        LOG.append(Event("launch", name))


def _callers(most: int = 4) -> tuple[tuple[str, int], ...]:
    """The innermost lines that are neither in this stand-in nor in array-api-compat."""
    frame: FrameType | None = sys._getframe(2)
    callers: list[tuple[str, int]] = []
    while frame is not None and len(callers) < most:
        file = frame.f_code.co_filename
        if not file.startswith(_INSIDE[0]) and _INSIDE[1] not in file:
            callers.append((file, frame.f_lineno))
        frame = frame.f_back
    return tuple(callers)
