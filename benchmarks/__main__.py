"""``python -m benchmarks [--rounds N] [--only NAME ...]``"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy

import rustorch

from . import adam, chain, cnn, cube, cuda, embedding, gpt, launches, loader, lstm, mlp, processes, saving
from .timing import medians, report

_STEPS = {
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


def _versions() -> str:
    import importlib.metadata

    names = ("numpy", "torch", "jax", "autograd", "mygrad")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> int:
    """Run what the command line asks for; how many cases failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="rustorch against its peers, as ratios in one run"
    )
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds, at least 9 (default 15)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[
            "chain",
            *_STEPS,
            *_NETWORKS,
            "cube",
            "embedding",
            "loader",
            "saving",
            "import",
            "memory",
            "launches",
            "cuda",
        ],
        help="leave the others out",
    )
    options = parser.parse_args()
    if options.rounds < 9:
        parser.error("a median of fewer than 9 rounds says little")
    chosen = options.only or [
        "chain",
        *_STEPS,
        *_NETWORKS,
        "cube",
        "embedding",
        "loader",
        "saving",
        "import",
        "memory",
        "launches",
        *(["cuda"] if rustorch.cuda.is_available() else []),
    ]
    print(f"rustorch {rustorch.__version__}, Python {platform.python_version()}, {_versions()}; {platform.machine()}")

    if "chain" in chosen:
        report("sum(tanh(x * y + x)) on 8 elements, forward and backward", medians(chain.functions(), options.rounds))
    for name, (sizes, batch) in _STEPS.items():
        if name in chosen:
            report(f"training step of {sizes}, batch {batch}", medians(mlp.functions(sizes, batch), options.rounds))
    for name, (title, step) in _NETWORKS.items():
        if name in chosen:
            report(f"training step of {title}", medians(step().functions(), options.rounds))
    if "adam" in chosen:
        report("Adam's update of that alone", medians(adam.updates(), options.rounds))
    if "cube" in chosen:
        title = f"x ** 3 of {cube.NUMBERS:,} numbers of both signs, forward and backward"
        report(title, medians(cube.functions(), options.rounds))
    if "embedding" in chosen:
        title = f"embedding of {embedding.INDICES} indices, {embedding.ROWS} rows of {embedding.WIDTH}, forward and backward"
        report(title, medians(embedding.functions(), options.rounds))
    if "loader" in chosen:
        for arrays, kind in ((True, "arrays"), (False, "samples")):
            for workers in (0, 2):
                title = f"an epoch of {loader.IMAGES:,} images from a dataset of {kind}, batch {loader.BATCH}, {workers} workers"
                report(title, medians(loader.functions(arrays, workers), options.rounds))
    if "saving" in chosen:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            report(f"saving {saving.MEGABYTES} MB", medians(saving.saving(Path(folder)), options.rounds))
            report(
                f"loading {saving.MEGABYTES} MB, of which nothing is used yet",
                medians(saving.loading(Path(folder)), options.rounds),
            )
    if "import" in chosen:
        print("\nimport, beyond numpy's own")
        for name, seconds in processes.import_time().items():
            print(f"  {name:10}{seconds * 1e3:12.0f} ms")
    if "memory" in chosen:
        print("\npeak memory of five steps of [1024, 1024, 1024, 10], batch 1024")
        for name, (before, peak) in processes.memory().items():
            print(f"  {name:10}{peak:12.0f} MiB, of which {peak - before:.0f} MiB by the steps")
    failed = launches.run() if "launches" in chosen else 0
    if "cuda" in chosen:
        failed += cuda.run(options.rounds)
    return failed


if __name__ == "__main__":
    start = time.perf_counter()
    failures = main()
    print(f"\n{time.perf_counter() - start:.0f} s in all, on numpy {numpy.__version__}")
    if failures:
        sys.exit(f"{failures} of the above failed")
