"""What only a process of its own can tell: import time, and peak memory."""

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
    # compiled files are kept between runs, as an installer leaves them
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return [float(word) for word in done.stdout.split()]


def import_time(rounds: int = 11) -> dict[str, float]:
    """Median seconds that an import takes after numpy's own, by package; and numpy's own."""
    modules = [name for name in ("rustorch", "torch", "jax", "autograd", "mygrad") if importlib.util.find_spec(name)]
    found: dict[str, list[float]] = {name: [] for name in ["numpy", *modules]}
    for name in modules:
        _run(_IMPORT.format(module=name))
    for _ in range(rounds):
        for name in modules:
            numpys, theirs = _run(_IMPORT.format(module=name))
            found[name].append(theirs)
            found["numpy"].append(numpys)
    return {name: statistics.median(times) for name, times in found.items()}


def memory() -> dict[str, tuple[float, float]]:
    """(MiB before the first step, peak MiB over five steps) of the large perceptron, each in a process of its own.

    Read from /proc: on other systems than Linux there are no figures.
    """
    if not os.path.exists("/proc/self/status"):
        return {}
    makers = {"rustorch": "ours"}
    if importlib.util.find_spec("torch"):
        makers["torch"] = "torchs"
    return {name: tuple(_run(_MEMORY.format(maker=maker))) for name, maker in makers.items()}  # type: ignore[misc]
