"""A timeline of forward, backward and exchanges on every rank, as a file for Chrome's trace viewer."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .calls import Calls, line_of
from .group import ProcessGroup, state, world

__all__ = ["Timeline", "trace"]

#: The timeline that records now; None while nobody asked for one. Callers look here first, so that a program without a
#: trace pays for one comparison.
active: Timeline | None = None

#: The first row of a rank in the viewer: what the rank itself does. Exchanges that go on meanwhile have the rows below.
_COMPUTE = 0


class Span:
    """One bar of the timeline: it begins when it is made, and ends with `end`."""

    __slots__ = ("_arguments", "_name", "_row", "_start", "_timeline")

    def __init__(self, timeline: Timeline, name: str, row: int, arguments: dict[str, Any]):
        self._timeline = timeline
        self._name = name
        self._row = row
        self._arguments = arguments
        self._start = time.perf_counter_ns()

    def end(self) -> None:
        """End the bar. A second call does nothing."""
        timeline, self._timeline = self._timeline, None  # type: ignore[assignment]  # an ended span keeps nothing alive
        if timeline is not None:
            timeline._add(self._name, self._row, self._start, time.perf_counter_ns(), self._arguments)

    def followed_by(self, name: str, **arguments: Any) -> Span:
        """End the bar, and begin the next one in the same row."""
        timeline, row = self._timeline, self._row
        self.end()
        return Span(timeline, name, row, arguments)


class Timeline:
    """The events of one rank. `trace` makes one.

    Attributes
    ----------
    rank : int
        The rank that records.
    events : list of dict
        What was recorded, in Chrome's format: ``name``, ``ph`` ("X" for a bar, "i" for a moment), ``ts`` and ``dur`` in
        microseconds since the beginning, ``pid`` (the rank), ``tid`` (the row) and ``args``.
    """

    def __init__(self, rank: int = 0):
        self.rank = rank
        self.events: list[dict[str, Any]] = []
        self._origin = time.perf_counter_ns()
        self._lock = threading.Lock()
        self._busy: set[int] = set()

    @contextmanager
    def span(self, name: str, **arguments: Any) -> Iterator[None]:
        """Record a part of the program as a bar in the first row of this rank.

        Parameters
        ----------
        name : str
            The text in the bar.
        **arguments
            Numbers and strings that the viewer shows when the bar is chosen.

        Examples
        --------
        >>> import rustorch.distributed as dist, tempfile, pathlib
        >>> dist.init_process_group()
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "step.json"
        >>> with dist.trace(file) as timeline:
        ...     with timeline.span("read a batch", size=64):
        ...         pass
        >>> "read a batch" in file.read_text()
        True
        >>> dist.destroy_process_group()
        """
        bar = Span(self, name, _COMPUTE, arguments)
        try:
            yield
        finally:
            bar.end()

    def begin(self, name: str, **arguments: Any) -> Span:
        """Begin a bar in the first row of this rank, for a part that ends in another function."""
        return Span(self, name, _COMPUTE, arguments)

    def begin_exchange(self, name: str, **arguments: Any) -> Span:
        """Begin the bar of an exchange, in a row below the first one.

        Exchanges that overlap are in different rows. An exchange with ``async_op=True`` ends when the program sees that
        it has ended: in ``wait()``, or in the first ``is_completed()`` that is True.
        """
        with self._lock:
            row = next(row for row in range(1, len(self._busy) + 2) if row not in self._busy)
            self._busy.add(row)
        return Span(self, name, row, arguments)

    def moment(self, name: str, **arguments: Any) -> None:
        """Mark a moment in the first row of this rank."""
        now = (time.perf_counter_ns() - self._origin) / 1e3
        event = {"name": name, "ph": "i", "s": "t", "ts": now, "pid": self.rank, "tid": _COMPUTE, "args": arguments}
        self.events.append(event)

    def _add(self, name: str, row: int, start: int, stop: int, arguments: dict[str, Any]) -> None:
        if row != _COMPUTE:
            with self._lock:
                self._busy.discard(row)
        self.events.append(
            {
                "name": name,
                "ph": "X",
                "ts": (start - self._origin) / 1e3,
                "dur": (stop - start) / 1e3,
                "pid": self.rank,
                "tid": row,
                "args": arguments,
            }
        )

    def with_names(self) -> list[dict[str, Any]]:
        """The events, and before them the names of this rank and of its rows."""
        rows = sorted({event["tid"] for event in self.events} | {_COMPUTE})
        title = f"rank {self.rank} ({platform.node()}, process {os.getpid()})"
        names = [{"name": "process_name", "ph": "M", "pid": self.rank, "args": {"name": title}}]
        names.append({"name": "process_sort_index", "ph": "M", "pid": self.rank, "args": {"sort_index": self.rank}})
        for row in rows:
            text = "computing" if row == _COMPUTE else f"exchange {row}"
            names.append({"name": "thread_name", "ph": "M", "pid": self.rank, "tid": row, "args": {"name": text}})
        return names + self.events


class _TracedCalls:
    """The record of a group's calls, which also draws each of them."""

    def __init__(self, calls: Calls, timeline: Timeline):
        self.original = calls
        self._timeline = timeline
        self._bars: dict[int, Span] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def begin(self, text: str, partners: tuple[int, ...] = ()) -> int:
        key = self.original.begin(text, partners)
        self._bars[key] = self._timeline.begin_exchange(text, line=line_of(sys._getframe(1)))
        return key

    def end(self, key: int) -> None:
        self.original.end(key)
        bar = self._bars.pop(key, None)
        if bar is not None:
            bar.end()


def _refused(file: Path, group: ProcessGroup) -> str:
    """Why rank 0 cannot write the file; the same text on all ranks, or "" if it can."""
    reason = ""
    if group.rank == 0 and (file.is_dir() or not file.parent.is_dir()):
        reason = f"trace: {file} is a folder" if file.is_dir() else f"trace: there is no folder {file.parent}"
    return group.exchange.broadcast_bytes(reason.encode(), 0).decode()


def _write(file: Path, parts: Sequence[str]) -> None:
    """Write lists of events, each in JSON, as one file."""
    events = ",\n".join(part[1:-1] for part in parts if part != "[]")
    file.write_text(f'{{"displayTimeUnit": "ms", "traceEvents": [\n{events}\n]}}\n', encoding="utf-8")


@contextmanager
def trace(file: str | os.PathLike[str], ranks: Sequence[int] | None = None) -> Iterator[Timeline]:
    """Record forward, backward and exchanges of all ranks, and write them as one timeline.

    Open the file in https://ui.perfetto.dev or in ``chrome://tracing``. Each rank is a process there: its first row
    shows what it computes, and the rows below show the collectives that go on meanwhile. DistributedDataParallel marks
    forward, backward, and the moment at which a bucket of gradients is full; `Timeline.span` marks other parts.

    All ranks enter the context together, and set their clocks to zero there. They also leave it together, and send
    their events to rank 0. If the body raises an error, each rank writes its events into a file of its own, with
    ``.rank0`` and so on in its name, and does not wait for the others.

    Parameters
    ----------
    file : path
        The file to write, by rank 0. An existing file is replaced.
    ranks : sequence of int, optional
        The ranks to show. Default: all. Rank 0 needs memory for the events of all of them.

    Yields
    ------
    Timeline
        The events of this rank.

    Raises
    ------
    RuntimeError
        If there is no process group, or if a trace is being recorded already.
    FileNotFoundError
        On all ranks, if rank 0 finds no folder for the file.

    Notes
    -----
    Collectives of groups that are made inside are not shown.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist, json, pathlib, tempfile
    >>> dist.init_process_group()
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "step.json"
    >>> with dist.trace(file) as timeline:
    ...     with timeline.span("add up"):
    ...         dist.all_reduce(rustorch.ones(3))
    >>> [event["name"] for event in json.loads(file.read_text())["traceEvents"] if event["ph"] == "X"][-1]
    'add up'
    >>> dist.destroy_process_group()
    """
    global active
    import json  # here, so that `import rustorch` stays fast

    group = world("trace")
    if active is not None:
        raise RuntimeError("trace: another trace is being recorded; end it before this one begins")
    file = Path(file)
    shown = {group.position(rank, "trace") for rank in (group.ranks if ranks is None else ranks)}
    with group.calls.during("trace()"):
        reason = _refused(file, group)
    if reason:
        raise FileNotFoundError(reason)
    with group.calls.during("trace()"):
        group.exchange.barrier().wait()  # the ranks leave it within microseconds, and begin to count the time there
    active = timeline = Timeline(group.rank)
    groups = [known for known in (group, *state.others) if known.rank >= 0]
    traced = [_TracedCalls(known.calls, timeline) for known in groups]
    for known, calls in zip(groups, traced, strict=True):
        known.calls = calls  # type: ignore[assignment] # it has all attributes of the record
    try:
        yield timeline
    except BaseException:
        _write(file.with_name(f"{file.stem}.rank{group.rank}{file.suffix}"), [json.dumps(timeline.with_names())])
        raise
    finally:
        active = None
        for known, calls in zip(groups, traced, strict=True):
            known.calls = calls.original
    part = json.dumps(timeline.with_names()) if group.rank in shown else "[]"
    with group.calls.during("the end of trace()"):
        parts = group.exchange.gather_bytes(part.encode())
    if group.rank == 0:
        _write(file, [part.decode() for part in parts])
