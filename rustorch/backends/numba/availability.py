"""Whether compiled kernels may be used. To find out, nothing is imported."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

#: The oldest version of Numba that this package compiles with.
OLDEST = (0, 62)


class Unavailable(Exception):
    """Why there are no compiled kernels."""


@cache
def wanted() -> bool:
    """Whether Numba is installed, and not turned off."""
    return not _turned_off() and _installed()


def always() -> bool:
    """Whether compiled kernels serve arrays of all sizes, and every call waits for its kernel: a setting for tests."""
    return os.environ.get("RUSTORCH_FAST", "1").strip().lower() == "always"


def _turned_off() -> bool:
    return os.environ.get("RUSTORCH_FAST", "1").strip().lower() in ("0", "false", "no", "off")


def _installed() -> bool:
    try:
        return find_spec("numba") is not None and find_spec("llvmlite") is not None
    except (ImportError, ValueError):  # a module of this name that is no package, as a test may put there
        return False


def check() -> str:
    """The version of Numba.

    Raises
    ------
    Unavailable
        If there are no compiled kernels; the message says why.
    """
    if _turned_off():
        raise Unavailable(f"RUSTORCH_FAST is {os.environ['RUSTORCH_FAST']!r}")
    if not _installed():
        raise Unavailable("Numba is not installed (pip install 'rustorch[fast]')")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("numba")
    except PackageNotFoundError:
        raise Unavailable("the installed Numba has no version") from None
    if tuple(int(part) for part in found.split(".")[:2] if part.isdecimal()) < OLDEST:
        raise Unavailable(f"Numba {found} is too old; {'.'.join(map(str, OLDEST))} or newer is needed")
    return found
