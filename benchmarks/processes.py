"""Import time and peak memory, each measured in a new process."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys

_IMPORT = """
import time
start = time.perf_counter()
import numpy
between = time.perf_counter()
import {module}
print(between - start, time.perf_counter() - between)
"""

_MEMORY = """
import numpy
from benchmarks import mlp
step = mlp.{maker}([1024, 1024, 1024, 10], 1024)
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = peak()
for _ in range(5):
    step()
print(before, peak())
"""


def _run(code: str) -> list[float]:
    # keep the compiled .pyc files, as in an installed package
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return [float(word) for word in done.stdout.split()]


def import_time(rounds: int = 11) -> dict[str, float]:
    """Median seconds of an import, by package. The time of importing NumPy is not included, and has its own entry."""
    modules = [name for name in ("rustorch", "torch", "jax", "autograd", "mygrad") if importlib.util.find_spec(name)]
    times: dict[str, list[float]] = {name: [] for name in ["numpy", *modules]}
    for name in modules:
        _run(_IMPORT.format(module=name))
    for _ in range(rounds):
        for name in modules:
            numpy_seconds, seconds = _run(_IMPORT.format(module=name))
            times[name].append(seconds)
            times["numpy"].append(numpy_seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def memory() -> dict[str, tuple[float, float]]:
    """MiB before the first step of the large perceptron, and the peak over five steps, by library.

    The figures come from /proc, so the result is empty on other systems than Linux.
    """
    if not os.path.exists("/proc/self/status"):
        return {}
    makers = {"rustorch": "rustorch_step"}
    if importlib.util.find_spec("torch"):
        makers["torch"] = "torch_step"
    return {name: tuple(_run(_MEMORY.format(maker=maker))) for name, maker in makers.items()}  # type: ignore[misc]
