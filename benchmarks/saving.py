"""A state of 500 MB, saved and loaded; against a plain write of the same bytes, each brought to the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

import rustorch

MEGABYTES = 500
_ARRAYS = 25


def _state() -> dict[str, Any]:
    rows = MEGABYTES * 1_000_000 // _ARRAYS // 4 // 1000
    return {f"layer.{i}.weight": numpy.full((rows, 1000), i, "float32") for i in range(_ARRAYS)}


def _plain(path: str, state: dict[str, Any]) -> None:
    with open(path, "wb", buffering=0) as file:
        for array in state.values():
            file.write(array.data)
        os.fsync(file.fileno())


def saving(folder: Path) -> dict[str, Callable[[], object]]:
    """What writes the state into a new file, its bytes on the disk at the end."""
    state = _state()

    def anew(name: str, write: Callable[[str], None]) -> Callable[[], None]:
        path = folder / name

        def call() -> None:
            path.unlink(missing_ok=True)
            write(str(path))

        return call

    return {
        "rustorch": anew("ours", lambda path: rustorch.save(state, path)),
        "write": anew("plain", lambda path: _plain(path, state)),
    }


def loading(folder: Path) -> dict[str, Callable[[], object]]:
    """What maps the state into memory, ready to be used; nothing of it is read."""
    path = folder / "state"
    rustorch.save(_state(), path)
    out: dict[str, Callable[[], object]] = {"rustorch": lambda: rustorch.load(path)}
    with contextlib.suppress(ImportError):
        from safetensors.torch import load_file

        out["torch"] = lambda: load_file(path)
    return out
