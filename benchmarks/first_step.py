"""The first training step of the GPT in a new process: ``python -m benchmarks --only first_step``.

With Numba, kernels are compiled when they are first used, and kept in a folder. The folder is empty in the first
process ("cold"), and has all kernels in later ones ("warm"). ``RUSTORCH_FAST=0`` uses no compiled kernels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from importlib import import_module

from .networks import NETWORKS
from .processes import libraries
from .processes import run as run_process

NAME = "gpt"
#: Steps in each process. The later half is steady.
STEPS = 10


def measure(library: str) -> dict[str, float]:
    """Seconds until the step is there, of the first step, and of a later one, in this process."""
    start = time.perf_counter()
    step = NETWORKS[NAME].step().alone(import_module(library))
    prepared = time.perf_counter()
    times = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return {"import": prepared - start, "first": times[0], "later": statistics.median(times[STEPS // 2 :])}


def _in_new_process(library: str, variables: dict[str, str]) -> dict[str, float]:
    found: dict[str, float] = run_process("benchmarks.first_step", library, variables=variables)
    return found


def compare(processes: int) -> dict[str, dict[str, float]]:
    """Medians over processes of what `measure` returns, by what the process finds. "cold" is one process."""
    with tempfile.TemporaryDirectory() as folder:
        cold = _in_new_process("rustorch", {"RUSTORCH_CACHE": folder})
        _in_new_process("rustorch", {"RUSTORCH_CACHE": folder})  # compiles what the first one did not finish
        kinds = {
            "rustorch, warm": ("rustorch", {"RUSTORCH_CACHE": folder}),
            "rustorch, RUSTORCH_FAST=0": ("rustorch", {"RUSTORCH_FAST": "0"}),
        }
        if "torch" in libraries():
            kinds["torch"] = ("torch", {})
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        for _ in range(processes):
            for kind, (library, variables) in kinds.items():
                found[kind].append(_in_new_process(library, variables))
    medians = {
        kind: {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        for kind, measured in found.items()
    }
    return {"rustorch, cold": cold, **medians}


def run(rounds: int) -> None:
    """Print the seconds of each kind of process."""
    results = compare(rounds)
    print(f"\nfirst training step of {NETWORKS[NAME].title}, in a new process")
    print(f"  {'':28}{'import and model':>18}{'first step':>12}{'later steps':>13}")
    for kind, found in results.items():
        times = f"{found['import']:16.2f} s{found['first']:10.3f} s{found['later'] * 1e3:10.1f} ms"
        print(f"  {kind:28}{times}", flush=True)


def main() -> None:
    """Measure in this process, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_step")
    parser.add_argument("library", choices=["rustorch", "torch"])
    print(json.dumps(measure(parser.parse_args().library)))


if __name__ == "__main__":
    main()
