"""Peak memory of training steps in each library, measured in new processes: ``python -m benchmarks --only memory``."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
from collections.abc import Callable
from importlib import import_module

from .networks import NETWORKS
from .processes import libraries
from .processes import run as run_process

#: The networks whose memory is compared.
NAMES = ("large", "cnn", "resnet", "gpt", "gpt_written_out", "lstm")
STEPS = 5
_STATUS = "/proc/self/status"


def can_measure() -> bool:
    """Whether the system tells the peak of a process's memory. Linux does."""
    return os.path.exists(_STATUS)


def _peak() -> float:
    with open(_STATUS) as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def peak_of(function: Callable[[], object]) -> tuple[float, float]:
    """MiB of this process before a call, and their peak during the call."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # of glibc: free memory goes back to the system
        ctypes.CDLL(None).malloc_trim(0)
    # The peak starts anew. Where that is not allowed, an earlier peak counts as the memory before.
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as references:
        references.write("5")
    before = _peak()
    function()
    return before, _peak()


def measure(name: str, library: str) -> tuple[float, float]:
    """MiB of this process before the first step of a network, and their peak in `STEPS` steps.

    The libraries are loaded before: torch's when it is imported, and LLVM, which reads rustorch's compiled loops, by a
    first function. It is a file, of which Linux counts as many pages as it happens to map, up to 66 MiB.
    """
    module = import_module(library)
    step = NETWORKS[name].step().alone(module)
    module.nn.functional.gelu(module.zeros((512, 512)))

    def steps() -> None:
        for _ in range(STEPS):
            step()

    return peak_of(steps)


def report(title: str, results: dict[str, tuple[float, float]]) -> None:
    """Print the peak of each library above the memory before, and the ratio."""
    print(f"\n{title}")
    own = results["rustorch"][1] - results["rustorch"][0]
    for library, (before, peak) in results.items():
        ratio = "" if library == "rustorch" else f"   rustorch / {library}: {own / (peak - before):.2f}"
        print(f"  {library:10}{peak - before:9.0f} MiB above {before:.0f} MiB{ratio}", flush=True)


def run(rounds: int) -> None:
    """Print the peak of each network in each library."""
    if not can_measure():
        print("\npeak memory: not measured, it needs Linux")
        return
    for name in NAMES:
        run_process("benchmarks.memory", name, "rustorch")  # compiles what is compiled when it is first used
        results = {library: tuple(run_process("benchmarks.memory", name, library)) for library in libraries()}
        report(f"peak memory of {STEPS} training steps of {NETWORKS[name].title}", results)


def main() -> None:
    """Measure in this process, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("network", choices=list(NETWORKS))
    parser.add_argument("library", choices=["rustorch", "torch"])
    options = parser.parse_args()
    print(json.dumps(measure(options.network, options.library)))


if __name__ == "__main__":
    main()
