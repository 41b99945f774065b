"""Files that are open already: what `save` writes into and `load` reads from besides paths."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from .source import Source

__all__ = ["Stream", "is_file", "target"]


def is_file(value: Any, method: str) -> bool:
    """Whether a value is an open file, or something like it with this method, and no path."""
    return not isinstance(value, (str, bytes, os.PathLike)) and callable(getattr(value, method, None))


def _refuse_text(function: str, file: Any, mode: str) -> None:
    if isinstance(getattr(file, "file", file), io.TextIOBase):  # tempfile's files wrap another
        raise TypeError(
            f"{function}: the {type(file).__name__} is open for text; open it for bytes, as in open(path, {mode!r}) or "
            f"io.BytesIO()"
        )


def target(function: str, file: Any) -> Callable[[Iterable[bytes | memoryview]], None]:
    """What writes pieces of bytes into an open file, one after the other.

    Raises
    ------
    TypeError
        If the file is open for text.
    ValueError
        If it is not open for writing.
    """
    _refuse_text(function, file, "wb")
    if getattr(file, "closed", False) or not getattr(file, "writable", lambda: True)():
        raise ValueError(
            f"{function}: the {type(file).__name__} is not open for writing; open it as in open(path, 'wb')"
        )

    def write(pieces: Iterable[bytes | memoryview]) -> None:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                done = file.write(left)  # a file without a buffer may take a part
                left = left[len(left) if done is None else done :]

    return write


class Stream(Source):
    """An open file, read from where it stands.

    Parameters
    ----------
    function : str
        What errors call the caller.
    file : object
        With ``read``; one without ``seek``, or that cannot, is read to its end at once.

    Raises
    ------
    TypeError
        If it is open for text.
    ValueError
        If it is not open for reading.
    """

    goes_on = True

    def __init__(self, function: str, file: Any) -> None:
        _refuse_text(function, file, "rb")
        if getattr(file, "closed", False) or not getattr(file, "readable", lambda: True)():
            raise ValueError(
                f"{function}: the {type(file).__name__} is not open for reading; open it as in open(path, 'rb')"
            )
        first = file.read(0)
        if not isinstance(first, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"{function}: read() of the {type(file).__name__} returns {type(first).__name__}, not bytes"
            )
        self.file: Any = file if _seekable(file) else io.BytesIO(_rest(file))
        self._first = self._leave = self.file.tell()
        self.file.seek(0, io.SEEK_END)
        self.size = self.file.tell() - self._first
        self.file.seek(self._first)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.file.seek(self._leave)

    def leave_at(self, place: int) -> None:
        self._leave = self._first + place

    def map(self) -> None:
        """Nothing: the file is somebody else's, and may change."""

    def bytes(self, start: int, stop: int) -> memoryview:
        """Part of the file, as memory that can be written to."""
        memory = bytearray(stop - start)
        self.file.seek(self._first + start)
        done = 0
        while done < len(memory):
            piece = self.file.read(len(memory) - done)
            if not piece:
                raise ValueError("it was cut short while it was read")
            memory[done : done + len(piece)] = piece
            done += len(piece)
        return memoryview(memory)


def _seekable(file: Any) -> bool:
    try:
        return bool(file.seekable()) if hasattr(file, "seekable") else file.tell() is not None and hasattr(file, "seek")
    except (AttributeError, OSError):
        return False


def _rest(file: Any) -> bytes:
    """Everything that is left in a file that gives it in pieces."""
    pieces = []
    while piece := file.read(1 << 20):
        pieces.append(bytes(piece))
    return b"".join(pieces)
