"""Saving and loading a state of 500 MB, compared with a plain write of the same bytes."""

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
    """Functions that write the state into a new file, and return when the bytes are on the disk."""
    state = _state()

    def into_new_file(name: str, write: Callable[[str], None]) -> Callable[[], None]:
        path = folder / name

        def call() -> None:
            path.unlink(missing_ok=True)
            write(str(path))

        return call

    return {
        "rustorch": into_new_file("rustorch", lambda path: rustorch.save(state, path)),
        "write": into_new_file("plain", lambda path: _plain(path, state)),
    }


def loading(folder: Path) -> dict[str, Callable[[], object]]:
    """Functions that map the state into memory. The values are not read."""
    path = folder / "state"
    rustorch.save(_state(), path)
    out: dict[str, Callable[[], object]] = {"rustorch": lambda: rustorch.load(path)}
    with contextlib.suppress(ImportError):
        from safetensors.torch import load_file

        out["torch"] = lambda: load_file(path)
    return out
