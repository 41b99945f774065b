"""A file that tensors are read from: mapped into memory, so that what is not touched costs nothing."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from typing import Any, BinaryIO

__all__ = ["Source"]

#: Smaller files are read at once: cheaper than a map, and no file handle is held.
_MAPPED_FROM = 1 << 20


def _flags() -> int:
    """Of a private map: writes stay in this process, and nothing is reserved for writes that may never come."""
    # Linux refuses to reserve more than there is memory; the module has a name for the flag from Python 3.13 on
    generic = 0x4000 if sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64", "riscv64") else 0
    return mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", generic)


class Source:
    """A file, open for reading.

    Attributes
    ----------
    file : binary file
    size : int
        Bytes in it.

    Raises
    ------
    ValueError
        If it is no ordinary file.
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        mode = os.stat(path).st_mode  # before it is opened: to open a pipe would mean to wait for its other end
        if not stat.S_ISREG(mode):
            raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no ordinary file")
        self.file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        self.size = os.fstat(self.file.fileno()).st_size
        self._map: Any = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()

    #: Whether there may be more in it behind the object.
    goes_on = False

    def leave_at(self, place: int) -> None:
        """Let the file stand there when it is left: of an open file that a user gave."""

    def map(self) -> None:
        """Let `bytes` be parts of one map from here on, where the system and the file's size let it."""
        # on Windows, a file that is mapped could not be replaced by a save
        if sys.platform != "win32" and self.size >= _MAPPED_FROM:
            try:
                self._map = memoryview(
                    mmap.mmap(self.file.fileno(), self.size, _flags(), mmap.PROT_READ | mmap.PROT_WRITE)
                )
            except OSError:  # a file system that maps nothing
                self._map = None

    def bytes(self, start: int, stop: int) -> memoryview:
        """Part of the file, as memory that can be written to."""
        if self._map is not None:
            return self._map[start:stop]
        memory = memoryview(bytearray(stop - start))
        self.file.seek(start)
        if self.file.readinto(memory) < len(memory):  # type: ignore[attr-defined]
            raise ValueError("it was cut short while it was read")
        return memory
