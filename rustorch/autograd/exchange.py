"""What `detect_anomaly` and `detect_writes` share: while one of them is active, recording a call goes through them.

What `primitive` calls to record is exchanged for a version that lets each of them make a plan of its own, whose rules
do more. While none is active, nothing of this is in the way.
"""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import graph, primitive
from .primitive import Plan

#: ``watch(plan, out, saved)`` returns the plan that the node gets.
Watch = Callable[[Plan, Any, tuple], Plan]

_HERE = str(Path(__file__).parents[1])
_lock = threading.Lock()
_active: dict[Watch, int] = {}  # how many are, in all threads
_watches: tuple[Watch, ...] = ()


def enter(watch: Watch) -> None:
    """Let every call that is recorded from here on, in any thread, go through ``watch``."""
    with _lock:
        _active[watch] = _active.get(watch, 0) + 1
        _exchange()


def leave(watch: Watch) -> None:
    """Undo `enter`."""
    with _lock:
        _active[watch] -= 1
        if not _active[watch]:
            del _active[watch]
        _exchange()


def _exchange() -> None:
    global _watches
    _watches = tuple(_active)
    primitive.record = _record if _watches else graph.record
    primitive.Node = _Node if _watches else graph.Node  # type: ignore[misc, assignment]


def _record(out: Any, plan: Plan, parents: tuple, saved: tuple) -> Any:
    for watch in _watches:
        plan = watch(plan, out, saved)
    return graph.record(out, plan, parents, saved)


def _Node(plan: Plan, parents: tuple, saved: tuple, out: Any) -> graph.Node:
    for watch in _watches:
        plan = watch(plan, out, saved)
    return graph.Node(plan, parents, saved, out)


def line() -> str:
    """The line of the program that called into rustorch."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" + (f": {text}" if text else "")
