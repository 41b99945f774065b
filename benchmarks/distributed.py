"""Training steps on one and on two ranks: DistributedDataParallel here and in PyTorch (with gloo), one thread a rank.

``python -m benchmarks --only distributed`` starts its own ranks. All figures of a network come from one run, in turn:
a step of the whole batch on rank 0, while the other rank sleeps, and a step of half of the batch on each rank.
"""

from __future__ import annotations

import argparse
import gc
import json
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import cnn, gpt, jobs, mlp
from .steps import Step, torch_on

RANKS = 2
#: name -> title, step for a batch, batch
NETWORKS: dict[str, tuple[str, Callable[[int], Step], int]] = {
    "mlp": ("the MLP 784-1024-1024-10, batch 512", lambda batch: mlp.step([784, 1024, 1024, 10], batch), 512),
    "cnn": ("the CNN on 28 x 28 pixels, batch 64", cnn.step, 64),
    "gpt": ("the GPT of 2 layers, width 128, 64 tokens, batch 8", lambda batch: gpt.step(batch=batch), 8),
}


# -- on every rank -----------------------------------------------------------------------------------------------------
class Case(NamedTuple):
    """A step, and whether rank 0 makes it alone."""

    step: Callable[[], object]
    alone: bool


def _rustorch_cases(whole: Step, part: Step, rank: int) -> dict[str, Case]:
    import rustorch.distributed as dist
    from rustorch.nn.parallel import DistributedDataParallel

    dist.init_process_group("mpi")
    first = dist.new_group([0])
    cases = {"rustorch, all ranks": Case(part.rustorch_step(wrap=DistributedDataParallel), alone=False)}
    if rank == 0:
        wrapped = whole.rustorch_step(wrap=lambda network: DistributedDataParallel(network, process_group=first))
        cases["rustorch, no DDP"] = Case(whole.rustorch_step(), alone=True)
        cases["rustorch, one rank"] = Case(wrapped, alone=True)
    return cases


def _torch_cases(whole: Step, part: Step, rank: int, ranks: int, address: str) -> dict[str, Case]:
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=ranks)
    first = dist.new_group([0])
    cases = {"torch, all ranks": Case(part.torch_step(wrap=DistributedDataParallel), alone=False)}
    if rank == 0:
        wrapped = whole.torch_step(wrap=lambda network: DistributedDataParallel(network, process_group=first))
        cases["torch, no DDP"] = Case(whole.torch_step(), alone=True)
        cases["torch, one rank"] = Case(wrapped, alone=True)
    return cases


def _meet(world: Any) -> None:
    """A barrier that leaves the processor to the ranks that still work."""
    request = world.Ibarrier()
    while not request.Test():
        time.sleep(0.0005)


def _seconds(world: Any, case: Case | None, count: int) -> float:
    """Seconds of a step: of rank 0, or of the slowest rank."""
    from mpi4py import MPI

    gc.collect()
    _meet(world)
    once = 0.0
    if case is not None:
        world_starts = time.perf_counter()
        for _ in range(count):
            case.step()
        once = (time.perf_counter() - world_starts) / count
    _meet(world)
    return world.allreduce(once, MPI.MAX)


def measure(name: str, rounds: int, seconds: float = 0.2) -> dict[str, list[float]]:
    """Seconds of each case, round by round."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    _, make, batch = NETWORKS[name]
    whole, part = make(batch), make(batch // world.size)
    cases = _rustorch_cases(whole, part, world.rank)
    if torch_on("cpu"):
        cases |= _torch_cases(whole, part, world.rank, world.size, world.bcast(_free_address()))
    names = world.bcast(list(cases))
    counts = {}
    for case in names:
        for _ in range(3):  # finds the order of the buckets, and allocates memory
            once = _seconds(world, cases.get(case), 1)
        counts[case] = max(1, int(seconds / once))
    times: dict[str, list[float]] = {case: [] for case in names}
    for i in range(rounds):
        for case in names[i % len(names) :] + names[: i % len(names)]:
            times[case].append(_seconds(world, cases.get(case), counts[case]))
    return times


def _free_address() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{found.getsockname()[1]}"


# -- in the program that starts them -----------------------------------------------------------------------------------
def _ratio(times: dict[str, list[float]], case: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(times[case], times[other], strict=True))


def run(rounds: int) -> None:
    """Print the times and the gains."""
    reason = jobs.missing()
    if reason is not None:
        print(f"\nsteps on {RANKS} ranks: not measured, {reason}")
        return
    for name, (title, _, _) in NETWORKS.items():
        times = jobs.run("benchmarks.distributed", RANKS, name, rounds)
        print(f"\ntraining step of {title}, one thread a rank, on 1 and {RANKS} ranks")
        for library in ("rustorch", "torch"):
            if f"{library}, all ranks" not in times:
                continue
            bare, one, both = (
                statistics.median(times[f"{library}, {case}"]) for case in ("no DDP", "one rank", "all ranks")
            )
            gain = _ratio(times, f"{library}, one rank", f"{library}, all ranks")
            costs = _ratio(times, f"{library}, one rank", f"{library}, no DDP")
            print(
                f"  {library:10}without DDP {bare * 1e3:.2f} ms, one rank {one * 1e3:.2f} ms ({costs:.3f} of it), "
                f"{RANKS} ranks {both * 1e3:.2f} ms: gain {gain:.2f}"
            )


def main() -> None:
    """Measure on this rank; rank 0 prints the result as JSON."""
    from mpi4py import MPI

    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed")
    parser.add_argument("network", choices=list(NETWORKS))
    parser.add_argument("rounds", type=int)
    options = parser.parse_args()
    times = measure(options.network, options.rounds)
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(times))


if __name__ == "__main__":
    main()
