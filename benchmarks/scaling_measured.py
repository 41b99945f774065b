"""The model of `scaling` beside steps on 1, 2 and 4 real ranks of this machine."""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from . import exchange, jobs, mlp
from .scaling import METHODS, Measured, Workload, tables

SIZES, BATCH = [784, 1024, 1024, 10], 512
REAL_RANKS = (1, 2, 4)


def _method(name: str) -> Callable[[], object]:
    """The step of the MLP with Adam on this rank, which trains with one of `METHODS`."""
    import rustorch
    import rustorch.distributed as dist
    from rustorch.nn.parallel import DistributedDataParallel, fully_shard

    batch = BATCH // dist.get_world_size()
    step = mlp.step(SIZES, batch, "Adam")
    if name == "DDP":
        return step.rustorch_step(wrap=DistributedDataParallel)
    if name == "ZeRO":
        options = {"optimizer_class": rustorch.optim.Adam}
        spread = type(step)(step.model, step.inputs, step.labels, "ZeroRedundancyOptimizer", options)
        return spread.rustorch_step(wrap=DistributedDataParallel)

    def shard(network: Any) -> Any:
        for layer in network:
            if list(layer.parameters()):
                fully_shard(layer)
        return fully_shard(network)

    return step.rustorch_step(wrap=shard)


def phases(batch: int, rounds: int) -> tuple[float, float, float]:
    """Median seconds of forward, backward and update of the MLP with Adam, in this process."""
    import rustorch

    step = mlp.step(SIZES, batch, "Adam")
    network, criterion = step.model(rustorch.nn), rustorch.nn.CrossEntropyLoss()
    optimizer = rustorch.optim.Adam(network.parameters(), lr=1e-4)
    times: list[list[float]] = [[], [], []]
    for _ in range(3 * rounds):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(network(*step.inputs), step.labels)
        middle = time.perf_counter()
        loss.backward()
        update = time.perf_counter()
        optimizer.step()
        moments = (start, middle, update, time.perf_counter())
        for measured, (a, b) in zip(times, itertools.pairwise(moments), strict=True):
            measured.append(b - a)
    forward, backward, updated = (statistics.median(measured) for measured in times)
    return forward, backward, updated


def measure(rounds: int) -> dict[str, Any]:
    """Seconds of a step by each method on these ranks; on one rank, also its phases for the batches of more ranks."""
    from mpi4py import MPI

    import rustorch.distributed as dist

    world = MPI.COMM_WORLD
    dist.init_process_group("mpi")
    results: dict[str, Any] = {}
    for name in METHODS:
        step = _method(name)
        for _ in range(3):
            step()
        times = []
        for _ in range(rounds):
            gc.collect()
            world.Barrier()
            start = time.perf_counter()
            for _ in range(3):
                step()
            times.append(world.allreduce((time.perf_counter() - start) / 3, MPI.MAX))
        results[name] = statistics.median(times)
    if world.size == 1:
        results["phases"] = {ranks: phases(BATCH // ranks, rounds) for ranks in REAL_RANKS}
    dist.destroy_process_group()
    return results


def layers() -> list[float]:
    """Bytes of the MLP's layers."""
    return [4.0 * (n_in + 1) * n_out for n_in, n_out in itertools.pairwise(SIZES)]


def compared(rounds: int, cores: int) -> list[tuple[int, str, float, float]]:
    """Ranks, method, measured seconds of a step, and those of the model.

    The model knows one rank's phases and the times of the exchanges.

    Ranks that share a core compute in turn: the model multiplies their time.
    """
    network = Measured(
        {ranks: exchange.figures(ranks, rounds, exchange.FEW_SIZES) for ranks in REAL_RANKS if ranks > 1}
    )
    real = {ranks: jobs.run("benchmarks.scaling_measured", ranks, rounds) for ranks in REAL_RANKS}
    rows = []
    for ranks in REAL_RANKS:
        slower = max(1.0, ranks / cores)
        forward, backward, update = (slower * once for once in real[1]["phases"][str(ranks)])
        work = Workload(forward, backward, update, layers(), overlaps=False)
        for name, method in METHODS.items():
            rows.append((ranks, name, real[ranks][name], method(work, network, ranks).seconds))
    return rows


def run(rounds: int) -> None:
    """Print the comparison with real ranks, and the tables."""
    reason = jobs.missing()
    if reason is not None:
        print(f"\nthe model beside real ranks: not compared, {reason}")
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        print(f"\nstep of the MLP {SIZES} with Adam, batch {BATCH} over all ranks, one thread a rank, {cores} cores")
        for ranks, name, measured, said in compared(rounds, cores):
            print(f"  ranks: {ranks}, {name:14}{measured * 1e3:8.2f} ms, the model says {said * 1e3:8.2f} ms")
    print(tables())


def main() -> None:
    """Measure on this rank; rank 0 prints the result as JSON."""
    from mpi4py import MPI

    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling_measured")
    parser.add_argument("rounds", type=int)
    results = measure(parser.parse_args().rounds)
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
