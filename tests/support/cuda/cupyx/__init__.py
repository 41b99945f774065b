"""``cupyx``: the setting whether linear algebra raises errors, for which the host has to wait."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_config = threading.local()


def geterr() -> dict[str, Any]:
    return {
        "divide": None,
        "over": None,
        "under": None,
        "invalid": None,
        "linalg": getattr(_config, "linalg", "ignore"),
    }


def seterr(
    *, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None, linalg: str | None = None
) -> dict[str, Any]:
    if any(value is not None for value in (divide, over, under, invalid)) or linalg not in (None, "ignore", "raise"):
        raise NotImplementedError
    before = geterr()
    _config.linalg = linalg or before["linalg"]
    return before


@contextlib.contextmanager
def errstate(
    *, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None, linalg: str | None = None
) -> Iterator[None]:
    before = seterr(divide=divide, over=over, under=under, invalid=invalid, linalg=linalg)
    try:
        yield
    finally:
        seterr(linalg=before["linalg"])
