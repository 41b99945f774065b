"""The command line: ``python -m benchmarks [--rounds N] [--only NAME ...]``"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import rustorch

from . import (
    adam,
    attention,
    chain,
    cube,
    cuda,
    distributed,
    embedding,
    exchange,
    first_step,
    launches,
    loader,
    machine,
    memory,
    mlp,
    ops,
    processes,
    saving,
    scaling_measured,
    threads,
)
from .networks import MLPS, NETWORKS
from .ops_more import MORE
from .timing import medians, report


def _chain(rounds: int) -> None:
    report("sum(tanh(x * y + x)) on 8 elements, forward and backward", medians(chain.functions(), rounds))


def _mlp(name: str, rounds: int) -> None:
    sizes, batch = MLPS[name]
    report(f"training step of {sizes}, batch {batch}", medians(mlp.functions(sizes, batch), rounds))


def _network(name: str, rounds: int) -> None:
    network = NETWORKS[name]
    report(f"training step of {network.title}", medians(network.step().functions(), rounds))
    if name == "adam":
        report("Adam's update in this step", medians(adam.updates(), rounds))


def _cube(rounds: int) -> None:
    title = f"x ** 3 of {cube.NUMBERS:,} numbers of both signs, forward and backward"
    report(title, medians(cube.functions(), rounds))


def _embedding(rounds: int) -> None:
    size = f"{embedding.INDICES} indices, {embedding.ROWS} rows of {embedding.WIDTH}"
    report(f"embedding of {size}, forward and backward", medians(embedding.functions(), rounds))


def _loader(rounds: int) -> None:
    for arrays, kind in ((True, "arrays"), (False, "samples")):
        for workers in (0, 2):
            title = f"an epoch of {loader.IMAGES:,} images from a dataset of {kind}, batch {loader.BATCH}"
            report(f"{title}, {workers} workers", medians(loader.functions(arrays, workers), rounds))


def _saving(rounds: int) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        report(f"saving {saving.MEGABYTES} MB", medians(saving.saving(Path(folder)), rounds))
        title = f"loading {saving.MEGABYTES} MB without reading the values"
        report(title, medians(saving.loading(Path(folder)), rounds))


def _import(rounds: int) -> None:
    print("\nimport time, without that of numpy")
    for name, seconds in processes.import_time().items():
        print(f"  {name:10}{seconds * 1e3:12.0f} ms")


def _launches(rounds: int) -> int:
    return launches.run()


#: The cases by name. Each takes the number of rounds and prints its results. A result that is not None is a number of
#: failures.
_CASES: dict[str, Callable[[int], int | None]] = {
    "chain": _chain,
    **{name: partial(_mlp, name) for name in MLPS},
    **{name: partial(_network, name) for name in NETWORKS if name not in MLPS},
    "ops": ops.run,
    "ops_more": partial(ops.run, names=tuple(MORE)),
    "cube": _cube,
    "embedding": _embedding,
    "loader": _loader,
    "saving": _saving,
    "import": _import,
    "memory": memory.run,
    "attention": attention.run,
    "threads": threads.run,
    "first_step": first_step.run,
    "launches": _launches,
    "cuda": cuda.run,
    "exchange": exchange.run,
    "distributed": distributed.run,
    "scaling": scaling_measured.run,
}


def main() -> int:
    """Run the cases that the command line names. Return how many failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="rustorch against its peers, as ratios in one run"
    )
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds, at least 9 (default 15)")
    parser.add_argument("--only", nargs="+", choices=list(_CASES), help="run these cases alone")
    options = parser.parse_args()
    if options.rounds < 9:
        parser.error("a median of fewer than 9 rounds says little")
    chosen = options.only or [name for name in _CASES if name != "cuda" or rustorch.cuda.is_available()]
    print(machine.header())
    return sum([case(options.rounds) or 0 for name, case in _CASES.items() if name in chosen])


if __name__ == "__main__":
    start = time.perf_counter()
    failures = main()
    print(f"\n{time.perf_counter() - start:.0f} s in all")
    if failures:
        sys.exit(f"{failures} of the above failed")
