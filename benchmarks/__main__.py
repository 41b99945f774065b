"""The command line: ``python -m benchmarks [--rounds N] [--only NAME ...]``"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy

import rustorch

from . import (
    adam,
    chain,
    cnn,
    cube,
    cuda,
    distributed,
    embedding,
    exchange,
    gpt,
    launches,
    loader,
    lstm,
    mlp,
    ops,
    processes,
    saving,
    scaling_measured,
)
from .timing import medians, report

_MLPS = {
    "small": ([2, 4, 2], 32),
    "medium": ([784, 256, 128, 10], 64),
    "large": ([1024, 1024, 1024, 10], 1024),
}
_NETWORKS = {
    "cnn": ("a CNN on 28 x 28 pixels, batch 64", cnn.step),
    "gpt": ("a GPT of 2 layers, width 128, 64 tokens, batch 8", gpt.step),
    "adam": (f"{adam.SIZES} with Adam, batch {adam.BATCH}", adam.step),
    "adamw": ("the GPT with AdamW", lambda: gpt.step("AdamW")),
    "lstm": ("an LSTM, 64 features, 128 hidden, 32 steps, batch 32", lstm.step),
}


def _chain(rounds: int) -> None:
    report("sum(tanh(x * y + x)) on 8 elements, forward and backward", medians(chain.functions(), rounds))


def _mlp(name: str, rounds: int) -> None:
    sizes, batch = _MLPS[name]
    report(f"training step of {sizes}, batch {batch}", medians(mlp.functions(sizes, batch), rounds))


def _network(name: str, rounds: int) -> None:
    title, step = _NETWORKS[name]
    report(f"training step of {title}", medians(step().functions(), rounds))
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


def _memory(rounds: int) -> None:
    print("\npeak memory of five steps of [1024, 1024, 1024, 10], batch 1024")
    for name, (before, peak) in processes.memory().items():
        print(f"  {name:10}{peak:12.0f} MiB, {peak - before:.0f} MiB of them in the steps")


def _launches(rounds: int) -> int:
    return launches.run()


#: The cases by name. Each takes the number of rounds and prints its results. A result that is not None is a number of
#: failures.
_CASES: dict[str, Callable[[int], int | None]] = {
    "chain": _chain,
    **{name: partial(_mlp, name) for name in _MLPS},
    **{name: partial(_network, name) for name in _NETWORKS},
    "ops": ops.run,
    "cube": _cube,
    "embedding": _embedding,
    "loader": _loader,
    "saving": _saving,
    "import": _import,
    "memory": _memory,
    "launches": _launches,
    "cuda": cuda.run,
    "exchange": exchange.run,
    "distributed": distributed.run,
    "scaling": scaling_measured.run,
}


def _versions() -> str:
    versions = []
    for name in ("numpy", "torch", "jax", "autograd", "mygrad"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(versions)


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
    print(f"rustorch {rustorch.__version__}, Python {platform.python_version()}, {_versions()}; {platform.machine()}")
    return sum([case(options.rounds) or 0 for name, case in _CASES.items() if name in chosen])


if __name__ == "__main__":
    start = time.perf_counter()
    failures = main()
    print(f"\n{time.perf_counter() - start:.0f} s in all, on numpy {numpy.__version__}")
    if failures:
        sys.exit(f"{failures} of the above failed")
