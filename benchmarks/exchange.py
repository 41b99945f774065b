"""Latency and bandwidth of the exchanges between ranks on this machine, ours beside a bare ``Allreduce`` of mpi4py.

``python -m benchmarks --only exchange`` starts its own ranks. `figures` gives the numbers to `scaling`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy

from . import jobs

#: Bytes that each rank passes to an exchange.
SIZES = (8, 1 << 10, 1 << 15, 1 << 20, 25_000_000, 100_000_000)
#: For the collectives besides all_reduce.
FEW_SIZES = (8, 1 << 15, 1 << 20, 25_000_000)
RANKS = 2


# -- on every rank -----------------------------------------------------------------------------------------------------
def _calls(size: int, ranks: int, rank: int) -> dict[str, Callable[[], object]]:
    """The exchanges of arrays of `size` bytes, by name; "bare" is mpi4py's own all_reduce."""
    from mpi4py import MPI

    import rustorch.distributed as dist

    world = MPI.COMM_WORLD
    array, other = numpy.ones(size // 4, "float32"), numpy.ones(size // 4, "float32")
    calls: dict[str, Callable[[], object]] = {
        "bare": lambda: world.Allreduce(MPI.IN_PLACE, other, MPI.SUM),
        "all_reduce": lambda: dist.all_reduce(array),
    }
    if size not in FEW_SIZES:
        return calls
    parts = numpy.ones(max(1, size // 4 // ranks), "float32")
    whole, received = (numpy.ones(parts.size * ranks, "float32") for _ in range(2))

    def there_and_back() -> None:
        if rank == 0:
            dist.send(array, 1)
            dist.recv(array, 1)
        elif rank == 1:
            dist.recv(array, 0)
            dist.send(array, 0)

    return calls | {
        "broadcast": lambda: dist.broadcast(array, 0),
        "all_gather": lambda: dist.all_gather_into_tensor(whole, parts),
        "reduce_scatter": lambda: dist.reduce_scatter_tensor(parts, whole),
        "all_to_all": lambda: dist.all_to_all_single(received, whole),
        "send and recv, there and back": there_and_back,
    }


def measure(rounds: int, sizes: tuple[int, ...] = SIZES, seconds: float = 0.05) -> dict[str, dict[int, float]]:
    """Seconds of each exchange by its bytes: the median over the rounds of the slowest rank's time.

    The exchanges of one size take turns, so that other work on the machine slows all of them down alike. "ratio" is the
    median over the rounds of all_reduce's time divided by the bare one's.
    """
    from mpi4py import MPI

    import rustorch.distributed as dist

    world = MPI.COMM_WORLD
    dist.init_process_group("mpi")
    results: dict[str, dict[int, float]] = {}
    for size in sizes:
        calls = _calls(size, world.size, world.rank)
        counts, times = {}, {name: [] for name in calls}  # type: ignore[var-annotated]
        for name, call in calls.items():
            call()
            start = time.perf_counter()
            call()
            counts[name] = world.bcast(max(1, min(2000, int(seconds / (time.perf_counter() - start)))))
        for _ in range(rounds):
            for name, call in calls.items():
                gc.collect()
                world.Barrier()
                start = time.perf_counter()
                for _ in range(counts[name]):
                    call()
                once = (time.perf_counter() - start) / counts[name]
                times[name].append(world.allreduce(once, MPI.MAX))
        for name, measured in times.items():
            results.setdefault(name, {})[size] = statistics.median(measured)
        pairs = zip(times["all_reduce"], times["bare"], strict=True)
        results.setdefault("ratio", {})[size] = statistics.median(ours / bare for ours, bare in pairs)
    dist.destroy_process_group()
    return results


# -- in the program that starts them -----------------------------------------------------------------------------------
def figures(ranks: int, rounds: int, sizes: tuple[int, ...] = SIZES) -> dict[str, dict[int, float]]:
    """What `measure` returns on this many ranks."""
    results: dict[str, dict[str, float]] = jobs.run("benchmarks.exchange", ranks, rounds, *sizes)
    return {name: {int(size): seconds for size, seconds in by_size.items()} for name, by_size in results.items()}


def line(seconds: dict[int, float]) -> tuple[float, float]:
    """Latency in seconds and bandwidth in bytes a second: the straight line from the smallest size to the largest."""
    small, large = min(seconds), max(seconds)
    bandwidth = (large - small) / max(seconds[large] - seconds[small], 1e-12)
    return seconds[small], bandwidth


def run(rounds: int) -> None:
    """Print the times."""
    reason = jobs.missing()
    if reason is not None:
        print(f"\nexchanges between ranks: not measured, {reason}")
        return
    results = figures(RANKS, rounds)
    ratios = results.pop("ratio")
    for name, seconds in results.items():
        title = "a bare Allreduce of mpi4py" if name == "bare" else name
        latency, bandwidth = line(seconds)
        print(f"\n{title} on {RANKS} ranks: latency {latency * 1e6:.1f} us, {bandwidth / 1e9:.2f} GB/s")
        for size, once in seconds.items():
            ratio = f"   rustorch / bare: {ratios[size]:.2f}" if name == "all_reduce" else ""
            print(f"  {size:13,} bytes{once * 1e6:12.1f} us{ratio}")


def main() -> None:
    """Measure on this rank; rank 0 prints the result as JSON."""
    from mpi4py import MPI

    parser = argparse.ArgumentParser(prog="python -m benchmarks.exchange")
    parser.add_argument("rounds", type=int)
    parser.add_argument("sizes", type=int, nargs="*", default=list(SIZES))
    options = parser.parse_args()
    results: Any = measure(options.rounds, tuple(options.sizes))
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
