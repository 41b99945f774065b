"""Timing of functions in interleaved rounds, so that other work on the machine slows all of them down alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

#: Seconds without work before each turn. PyTorch's OpenMP keeps a core busy for 4 to 8 ms after its last loop. The next
#: library would have to share that core.
PAUSE = 0.02


def medians(
    functions: dict[str, Callable[[], object]], rounds: int = 15, seconds: float = 0.15
) -> dict[str, tuple[float, float]]:
    """Time functions round by round.

    Parameters
    ----------
    functions : dict of callables
        By the name of the library. "rustorch" must be among them.
    rounds : int
        At least 9.
    seconds : float
        The time that each function runs in a round, about.

    Returns
    -------
    dict
        name -> (median seconds per call, median over the rounds of rustorch's time divided by this library's)
    """
    calls = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        once = time.perf_counter() - start
        calls[name] = max(1, int(seconds / max(once, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in functions}
    order = list(functions)
    for i in range(rounds):
        for name in order[i % len(order) :] + order[: i % len(order)]:
            function, n = functions[name], calls[name]
            gc.collect()
            time.sleep(PAUSE)
            start = time.perf_counter()
            for _ in range(n):
                function()
            times[name].append((time.perf_counter() - start) / n)
    own = times["rustorch"]
    return {
        name: (statistics.median(theirs), statistics.median(a / b for a, b in zip(own, theirs, strict=True)))
        for name, theirs in times.items()
    }


def report(title: str, results: dict[str, tuple[float, float]]) -> None:
    """Print the time of each library, and rustorch's time divided by it."""
    print(f"\n{title}")
    for name, (seconds, ratio) in results.items():
        text = f"{seconds * 1e6:12.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:12.2f} ms"
        print(f"  {name:10}{text}" + ("" if name == "rustorch" else f"   rustorch / {name}: {ratio:.2f}"))


def queued_and_done(
    functions: dict[str, Callable[[], object]], wait: Callable[[], object], rounds: int = 15, seconds: float = 0.05
) -> dict[str, tuple[float, float, float]]:
    """Time functions that queue work for a GPU, round by round.

    Parameters
    ----------
    functions : dict of callables
        By the name of the library. "rustorch" must be among them.
    wait : callable
        Returns when the GPU has finished all its work.
    rounds : int
        At least 9.
    seconds : float
        The time that each function runs in a round, about.

    Returns
    -------
    dict
        name -> (median seconds until a call returns, median seconds until the GPU has finished its work, median over
        the rounds of rustorch's time divided by this library's, both until the GPU has finished)
    """
    calls = {}
    for name, function in functions.items():
        for _ in range(5):  # compiles kernels, and allocates memory
            function()
        wait()
        start = time.perf_counter()
        function()
        wait()
        calls[name] = max(1, min(200, int(seconds / (time.perf_counter() - start))))
    queued: dict[str, list[float]] = {name: [] for name in functions}
    done: dict[str, list[float]] = {name: [] for name in functions}
    order = list(functions)
    for i in range(rounds):
        for name in order[i % len(order) :] + order[: i % len(order)]:
            function, n = functions[name], calls[name]
            gc.collect()
            wait()
            start = time.perf_counter()
            for _ in range(n):
                function()
            queued[name].append((time.perf_counter() - start) / n)
            wait()
            done[name].append((time.perf_counter() - start) / n)
    own = done["rustorch"]
    return {
        name: (
            statistics.median(queued[name]),
            statistics.median(theirs),
            statistics.median(a / b for a, b in zip(own, theirs, strict=True)),
        )
        for name, theirs in done.items()
    }
