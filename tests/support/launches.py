"""Counts launches, waits of the host and copies from the host, on the stand-in for CuPy alone."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def is_stand_in() -> bool:
    """Whether ``import cupy`` imports the stand-in of this repository."""
    try:
        import cupy
    except ImportError:
        return False
    return Path(str(cupy.__file__)).parents[1] == Path(__file__).parent / "cuda"


class Counts:
    """The events within a ``with counted()`` block, by name.

    Attributes
    ----------
    launches, syncs, copies : collections.Counter
        Launches, waits of the host, and copies from the host to a GPU.
    waiting : list of str
        For each wait and each copy: its name, and the lines that asked for it.
    """

    def __init__(self) -> None:
        self.launches: Counter[str] = Counter()
        self.syncs: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.waiting: list[str] = []

    def add(self, events: list[Any]) -> None:
        """Count the events of ``cupy.LOG``."""
        counters = {"launch": self.launches, "sync": self.syncs, "h2d": self.copies}
        for event in events:
            kind, name = event
            if kind in counters:
                counters[kind][name] += 1
            if kind in ("sync", "h2d"):
                self.waiting.append(f"{kind} {name} {getattr(event, 'where', '')}".rstrip())

    def __repr__(self) -> str:
        return f"launches {dict(self.launches)}, syncs {dict(self.syncs)}, copies {dict(self.copies)}"


@contextmanager
def counted() -> Iterator[Counts]:
    """Count the events of a ``with`` block. The counts are ready after the block.

    Examples
    --------
    >>> with counted() as counts:  # doctest: +SKIP
    ...     loss.backward()
    >>> counts.launches.total(), counts.syncs.total(), counts.copies.total()  # doctest: +SKIP
    (12, 0, 0)
    """
    log = sys.modules["cupy"].LOG
    log.clear()
    counts = Counts()
    try:
        yield counts
    finally:
        counts.add(log)
