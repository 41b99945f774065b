"""Write a file completely or not at all.

The bytes go into a temporary file in the target's folder. When they are on the disk, the file is renamed to the target,
in one step of the file system. A process that is killed before leaves its temporary file unlocked, and the next save
into the folder removes it.
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
#: On systems without locks, a temporary file counts as abandoned after so many seconds.
_ABANDONED_AFTER = 86_400
#: Pieces with fewer bytes are joined before they are written.
_SMALL = 1 << 16


def replace(path: str, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file, or replace it. At any time, a reader sees either the complete old file or the complete new one.

    A replaced file keeps its permissions, and a link to it stays a link.

    Parameters
    ----------
    path : str
    pieces : iterable of bytes
        The next piece is computed after the one before it is written.

    Raises
    ------
    OSError
        If the file cannot be written. Then the old file does not change, and the temporary file is removed.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    with _errors_about(path):
        before = _existing(target)
        _remove_abandoned(folder)
        fd, temporary = _create(folder, 0o666 if before is None else stat.S_IMODE(before.st_mode) & 0o777)
        try:
            try:
                if before is not None:
                    _copy_permissions(fd, before)
                for piece in _joined(pieces):
                    _write(fd, piece)
                    del piece  # free it before the next array is copied from its device
                os.fsync(fd)
                if fcntl is not None:
                    os.replace(temporary, target)  # while it is locked, so that no other save removes it
            finally:
                os.close(fd)
            if fcntl is None:  # Windows cannot rename an open file
                os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    _sync(folder)


@contextlib.contextmanager
def _errors_about(path: str) -> Iterator[None]:
    """Raise errors with the user's path in place of the temporary file's."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise OSError(f"save: {path}: {error}") from error
        raise OSError(error.errno, f"{error.strerror}; save has changed nothing", path) from error


def _existing(target: str) -> os.stat_result | None:
    """The status of the target; None if it does not exist. Raises OSError if it cannot be replaced."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):  # a device such as /dev/null would be replaced by a file
        raise OSError(errno.EINVAL, "it exists and is no ordinary file")
    if not os.access(target, os.W_OK):  # a rename would replace even a write-protected file
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return status


def _create(folder: str, mode: int) -> tuple[int, str]:
    """The descriptor and the path of a new temporary file, which is locked as long as it is open."""
    while True:
        path = os.path.join(folder, f".rustorch-{os.urandom(8).hex()}.tmp")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        if fcntl is None:
            return fd, path
        with contextlib.suppress(OSError):  # on a file system without locks, abandoned files stay
            fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd, path
        os.close(fd)  # another save removed the file before it was locked


def _copy_permissions(fd: int, before: os.stat_result) -> None:
    """Copy the permissions of the replaced file, and its group and owner if this process may set them."""
    if fcntl is None:
        return
    for owner in ((-1, before.st_gid), (before.st_uid, -1)):
        with contextlib.suppress(OSError):
            os.fchown(fd, *owner)
    os.fchmod(fd, stat.S_IMODE(before.st_mode))


def _joined(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes, with small pieces joined."""
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
    """Write all bytes of a piece; one call of the system may write only a part."""
    left = memoryview(piece)
    while left:
        left = left[os.write(fd, left) :]


def _remove_abandoned(folder: str) -> None:
    """Remove the temporary files of killed processes from a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(entry.path)


def _remove_if_abandoned(path: str) -> None:
    """Remove a temporary file unless the process that writes it is alive."""
    if fcntl is None:
        if time.time() - os.stat(path).st_mtime > _ABANDONED_AFTER:
            os.unlink(path)
        return
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while the process that writes it is alive
        os.unlink(path)
    finally:
        os.close(fd)


def _sync(folder: str) -> None:
    """Write the new name of the file to the disk, if the system can."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
