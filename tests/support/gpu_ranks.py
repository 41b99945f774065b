"""Ranks that are threads of this process, each with a GPU of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.launches import is_stand_in


def gpus(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the stand-in for CuPy so many GPUs. With real ones, the test is skipped if there are fewer."""
    import cupy

    if is_stand_in():
        monkeypatch.setattr(cupy._device, "GPUS", count)
    elif (found := cupy.cuda.runtime.getDeviceCount()) < count:
        pytest.skip(f"needs {count} GPUs, and this machine has {found}")


def on_ranks(count: int, function: Callable[[int], Any]) -> list[Any]:
    """What the function returns for each rank, or its error. The rank's GPU is the current one in its thread."""
    import cupy

    results: list[Any] = [None] * count

    def run(rank: int) -> None:
        try:
            with cupy.cuda.Device(rank):
                results[rank] = function(rank)
        except BaseException as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a rank hangs"
    return results


def on_all_ranks(count: int, function: Callable[[int], Any]) -> list[Any]:
    """What the function returns for each rank. The error of a rank is raised."""
    results = on_ranks(count, function)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
