"""A file that is written whole or not at all.

The bytes go into a new file beside the target, reach the disk, and only then take the target's name, in one step of the
file system. Who is killed on the way leaves that new file behind, unlocked: the next save into the folder removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["replace"]

_TEMPORARY = re.compile(r"\.rustorch-[0-9a-f]{16}\.tmp")
#: Where files cannot be locked, a temporary file is taken for abandoned after so many seconds.
_ABANDONED = 86_400
#: Pieces below it are put together before they are written.
_SMALL = 1 << 16


def replace(path: str, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file, or replace one: whoever reads it, at any time, finds the old one or the new one.

    A file that is there keeps its permissions, and a link to it stays a link.

    Parameters
    ----------
    path : str
    pieces : iterable of bytes
        Asked for one after the other, while they are written.

    Raises
    ------
    OSError
        If the file cannot be written; it is as it was, and nothing else is left behind.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    with _errors_name(path):
        before = _present(target)
        _remove_abandoned(folder)
        fd, temporary = _create(folder, 0o666 if before is None else stat.S_IMODE(before.st_mode) & 0o777)
        try:
            try:
                if before is not None:
                    _take_over(fd, before)
                for piece in _joined(pieces):
                    _write(fd, piece)
                    del piece  # before the next array is copied from its device
                os.fsync(fd)
                if fcntl is not None:
                    os.replace(temporary, target)  # while it is locked: nobody takes it for abandoned
            finally:
                os.close(fd)
            if fcntl is None:  # Windows renames no open file
                os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    _sync(folder)


@contextlib.contextmanager
def _errors_name(path: str) -> Iterator[None]:
    """Errors name the file that the user named, not the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise OSError(f"save: {path}: {error}") from error
        raise OSError(error.errno, f"{error.strerror}; save has changed nothing", path) from error


def _present(target: str) -> os.stat_result | None:
    """The target as it is, if it is there."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):  # /dev/null would become a file
        raise OSError(errno.EINVAL, "it is there and no ordinary file")
    if not os.access(target, os.W_OK):  # whoever protects a file does not mean it to be replaced either
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return found


def _create(folder: str, mode: int) -> tuple[int, str]:
    """A new file, locked as long as it is open."""
    while True:
        path = os.path.join(folder, f".rustorch-{os.urandom(8).hex()}.tmp")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        if fcntl is None:
            return fd, path
        with contextlib.suppress(OSError):  # a file system without locks: abandoned files stay there
            fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd, path
        os.close(fd)  # another save took it for abandoned before it was locked


def _take_over(fd: int, before: os.stat_result) -> None:
    """Permissions of the file that is replaced; its group and owner where this process may give files away."""
    if fcntl is None:
        return
    for owner in ((-1, before.st_gid), (before.st_uid, -1)):
        with contextlib.suppress(OSError):
            os.fchown(fd, *owner)
    os.fchmod(fd, stat.S_IMODE(before.st_mode))


def _joined(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes, small pieces put together."""
    small = bytearray()
    for piece in pieces:
        if len(piece) < _SMALL:
            small += piece
        if small and (len(piece) >= _SMALL or len(small) >= _SMALL):
            yield bytes(small)
            small.clear()
        if len(piece) >= _SMALL:
            yield piece
        del piece
    yield bytes(small)


def _write(fd: int, piece: bytes | memoryview) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(fd, left) :]


def _remove_abandoned(folder: str) -> None:
    """Remove what saves that were killed have left in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(entry.path)


def _remove_if_abandoned(path: str) -> None:
    if fcntl is None:
        if time.time() - os.stat(path).st_mtime > _ABANDONED:
            os.unlink(path)
        return
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused as long as the process lives that writes it
        os.unlink(path)
    finally:
        os.close(fd)


def _sync(folder: str) -> None:
    """Bring the new name to the disk, where the system can."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
