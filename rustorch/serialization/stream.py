"""Open files that `save` writes to and `load` reads from."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from .source import Source

__all__ = ["Stream", "is_file", "path_of", "target"]


def is_file(value: Any, method: str) -> bool:
    """Whether a value is no path, and has this method of a file."""
    return not isinstance(value, (str, bytes, os.PathLike)) and callable(getattr(value, method, None))


def path_of(function: str, path: Any) -> str:
    """The path as a string. Raises TypeError if it is no path."""
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(
            f"{function}: a path is a string or a pathlib.Path, not {type(path).__name__}; a file is what open(path, "
            f"'rb' or 'wb') returns"
        ) from None


def _refuse_text(function: str, file: Any, mode: str) -> None:
    """Raise TypeError for a file that is open for text."""
    if isinstance(getattr(file, "file", file), io.TextIOBase):  # the files of tempfile wrap another file
        raise TypeError(
            f"{function}: the {type(file).__name__} is open for text; open it for bytes, as in open(path, {mode!r}) or "
            f"io.BytesIO()"
        )


def target(function: str, file: Any) -> Callable[[Iterable[bytes | memoryview]], None]:
    """A function that writes pieces of bytes to an open file, one after another.

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
                written = file.write(left)  # a file without a buffer may write only a part
                left = left[len(left) if written is None else written :]

    return write


class Stream(Source):
    """An open file, read from its current position.

    Parameters
    ----------
    function : str
        The function that errors name.
    file : object
        With ``read``. A file that cannot seek is read to its end at once.

    Raises
    ------
    TypeError
        If the file is open for text.
    ValueError
        If the file is not open for reading.
    """

    may_go_on = True

    def __init__(self, function: str, file: Any) -> None:
        _refuse_text(function, file, "rb")
        if getattr(file, "closed", False) or not getattr(file, "readable", lambda: True)():
            raise ValueError(
                f"{function}: the {type(file).__name__} is not open for reading; open it as in open(path, 'rb')"
            )
        sample = file.read(0)
        if not isinstance(sample, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"{function}: read() of the {type(file).__name__} returns {type(sample).__name__}, not bytes"
            )
        self.file: Any = file if _seekable(file) else io.BytesIO(_rest(file))
        self._start = self._end_position = self.file.tell()
        self.file.seek(0, io.SEEK_END)
        self.size = self.file.tell() - self._start
        self.file.seek(self._start)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.file.seek(self._end_position)

    def set_end_position(self, position: int) -> None:
        """Set the position of the file after reading, from the start of the object."""
        self._end_position = self._start + position

    def map(self) -> None:
        """Do nothing: the user may change the file."""

    def bytes(self, start: int, stop: int) -> memoryview:
        """The bytes from start to stop, in memory that can be written to."""
        memory = bytearray(stop - start)
        self.file.seek(self._start + start)
        n_read = 0
        while n_read < len(memory):
            piece = self.file.read(len(memory) - n_read)
            if not piece:
                raise ValueError("it was cut short while it was read")
            memory[n_read : n_read + len(piece)] = piece
            n_read += len(piece)
        return memoryview(memory)


def _seekable(file: Any) -> bool:
    """Whether a file can seek."""
    try:
        return bool(file.seekable()) if hasattr(file, "seekable") else file.tell() is not None and hasattr(file, "seek")
    except (AttributeError, OSError):
        return False


def _rest(file: Any) -> bytes:
    """All remaining bytes of a file; one call of read may return only a part."""
    pieces = []
    while piece := file.read(1 << 20):
        pieces.append(bytes(piece))
    return b"".join(pieces)
