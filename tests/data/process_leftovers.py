"""What worker processes could leave behind: processes, zombies, segments of shared memory, open files."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED = Path("/dev/shm")
#: Whether the system lists the segments of shared memory. Linux does.
LISTED = SHARED.is_dir()


def segments(pid: int | None = None) -> set[str]:
    """The names of the shared memory of a process's loaders. Empty where the system lists none."""
    prefix = f"rustorch{os.getpid() if pid is None else pid:x}_"
    return {file.name for file in SHARED.glob(f"{prefix}*")} if LISTED else set()


def workers() -> list[str]:
    """The names of the worker processes that run."""
    return sorted(child.name for child in multiprocessing.active_children() if child.name.startswith("rustorch data"))


def open_files() -> int:
    """How many files this process has open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that no worker process and no shared memory is left at the end of the block."""
    yield
    assert workers() == []
    assert segments() == set()
