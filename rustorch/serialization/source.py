"""A file to read tensors from, mapped into memory so that only the parts in use are read."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from typing import Any

__all__ = ["Source"]

#: Files with fewer bytes are read at once. This is cheaper than a map, and keeps no file open.
_MAPPED_FROM = 1 << 20


def _flags() -> int:
    """The flags of a private map: writes do not reach the file, and no memory is reserved for them."""
    # Linux refuses a map with a reservation larger than the memory. mmap.MAP_NORESERVE exists from Python 3.13 on.
    generic = 0x4000 if sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64", "riscv64") else 0
    return mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", generic)


class Source:
    """A file that is open for reading.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    file : binary file
    size : int
        The number of its bytes.
    may_go_on : bool
        Whether other data may follow the object in the file.

    Raises
    ------
    ValueError
        If the path is no ordinary file.
    OSError
        If the file cannot be opened.
    """

    may_go_on = False

    def __init__(self, path: str) -> None:
        mode = os.stat(path).st_mode  # check before opening: opening a pipe waits for its writer
        if not stat.S_ISREG(mode):
            raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no ordinary file")
        self.file: Any = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        self.size: int = os.fstat(self.file.fileno()).st_size
        self._map: memoryview | None = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()

    def set_end_position(self, position: int) -> None:
        """Set the position of a user's open file after reading. A file that was opened here is closed instead."""

    def map(self) -> None:
        """Map the file, so that `bytes` returns parts of the map. Small files are not mapped."""
        # on Windows, a save cannot replace a mapped file
        if sys.platform != "win32" and self.size >= _MAPPED_FROM:
            try:
                self._map = memoryview(
                    mmap.mmap(self.file.fileno(), self.size, _flags(), mmap.PROT_READ | mmap.PROT_WRITE)
                )
            except OSError:  # a file system without maps
                self._map = None

    @property
    def is_mapped(self) -> bool:
        """Whether `bytes` returns parts of a map. Then it may be called after the file is closed."""
        return self._map is not None

    def bytes(self, start: int, stop: int) -> memoryview:
        """The bytes from start to stop, in memory that can be written to."""
        if self._map is not None:
            return self._map[start:stop]
        memory = memoryview(bytearray(stop - start))
        self.file.seek(start)
        if self.file.readinto(memory) < len(memory):
            raise ValueError("it was cut short while it was read")
        return memory
