"""Compiled kernels on disk, in a folder of the user's.

The folder holds machine code that later processes run. So it must belong to the user, and nobody else may write into
it: otherwise it is not used. A file that is damaged counts as missing. No failure here is an error: the kernel is then
compiled again, in every process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

_MAGIC = b"rustorch kernel 1\n"


def folder() -> Path | None:
    """The folder for compiled kernels: ``RUSTORCH_CACHE``, or ``rustorch/kernels`` in the user's folder for caches.

    None if the environment names no such folder.
    """
    if chosen := os.environ.get("RUSTORCH_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "rustorch", "kernels") if base and os.path.isabs(base) else None


def _make(path: Path) -> None:
    """Make a folder for the user alone, and those above it that are missing."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


def _is_safe(state: os.stat_result) -> bool:
    """Whether this user owns a file or folder, and nobody else may write it. Other systems than POSIX do not say."""
    return os.name != "posix" or (state.st_uid == os.getuid() and not state.st_mode & 0o022)


def problem(path: Path | None) -> str | None:
    """Why kernels cannot be kept in a folder, or None if they can. The folder is made if it is missing."""
    if path is None:
        return "there is no home folder; set RUSTORCH_CACHE to a folder"
    try:
        _make(path)
        state = path.stat()
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    if hasattr(os, "getuid") and state.st_uid != os.getuid():
        return f"{path} belongs to another user"
    if os.name == "posix" and state.st_mode & 0o022:
        return f"{path} can be written by other users; run chmod 700 on it"
    return None if os.access(path, os.W_OK | os.X_OK) else f"{path} cannot be written"


def read(path: Path | None, key: str) -> bytes | None:
    """The object file for a key, or None if there is none that is whole."""
    if path is None:
        return None
    with contextlib.suppress(OSError):
        # the folder was checked once, so the file is checked, too; and it must not be a link to another file
        handle = os.open(path / f"{key}.o", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            if not _is_safe(os.fstat(handle)):
                return None
            content = file.read()
        digest, data = content[len(_MAGIC) : len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
        if content.startswith(_MAGIC) and hashlib.sha256(key.encode() + data).digest() == digest:
            return data
    return None


def write(path: Path | None, key: str, data: bytes) -> None:
    """Keep an object file. Another process never sees a part of it."""
    if path is None:
        return
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=path, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(key.encode() + data).digest() + data)
            os.replace(temporary, path / f"{key}.o")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
