"""The training steps on 1, 2, 4, 8 and 16 threads, as many as the machine has cores, in rustorch and in PyTorch.

``python -m benchmarks --only threads`` starts a process for each library and number of threads. The processes of one
network compute in turn, so that other work on the machine slows all of them down alike.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, NamedTuple

from .machine import cores
from .networks import NETWORKS
from .processes import command, environment, libraries

NAMES = ("small", "medium", "large", "cnn", "resnet", "gpt", "gpt_written_out", "lstm", "adam")
COUNTS = (1, 2, 4, 8, 16)
#: Seconds that a process computes in a round, about.
SECONDS = 0.15
_VARIABLES = ("RUSTORCH_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker(NamedTuple):
    """A process with the training step of one library on a number of threads."""

    process: subprocess.Popen[str]

    def seconds(self, count: int) -> float:
        """Let the process compute ``count`` steps. Return the seconds of one of them."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(count, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a process of the benchmark failed with status {self.process.wait()}")
        return float(json.loads(answer))


@contextmanager
def worker(name: str, library: str, threads: int) -> Iterator[Worker]:
    """Start a process, and end it."""
    variables = dict.fromkeys(_VARIABLES, str(threads))
    with subprocess.Popen(
        command("benchmarks.threads", name, library, threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(variables),
    ) as process:
        yield Worker(process)  # its input ends here, and then the process does


def measure(name: str, counts: tuple[int, ...], rounds: int) -> dict[str, dict[int, list[float]]]:
    """Seconds of a step round by round, by library and number of threads."""
    times: dict[str, dict[int, list[float]]] = {library: {n: [] for n in counts} for library in libraries()}
    with ExitStack() as stack:
        workers = {
            (library, n): stack.enter_context(worker(name, library, n))
            for library, by_count in times.items()
            for n in by_count
        }
        steps = {}
        for key, one in workers.items():
            one.seconds(2)
            steps[key] = max(1, int(SECONDS / one.seconds(2)))
        order = list(workers)
        for i in range(rounds):
            for library, n in order[i % len(order) :] + order[: i % len(order)]:
                times[library][n].append(workers[library, n].seconds(steps[library, n]))
    return times


def _ratio(a: list[float], b: list[float]) -> float:
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def run(rounds: int) -> None:
    """Print the times, and how many times as fast as on one thread each library is."""
    counts = tuple(n for n in COUNTS if n <= cores())
    for name in NAMES:
        times = measure(name, counts, rounds)
        print(f"\ntraining step of {NETWORKS[name].title}; gain: times as fast as on one thread")
        for n in counts:
            texts = [
                f"{library} {statistics.median(found[n]) * 1e3:9.2f} ms, gain {_ratio(found[1], found[n]):5.2f}"
                for library, found in times.items()
            ]
            if "torch" in times:
                texts.append(f"rustorch / torch: {_ratio(times['rustorch'][n], times['torch'][n]):.2f}")
            print(f"  {n:2} thread{'s' if n > 1 else ' '}  {'   '.join(texts)}", flush=True)


def _serve(step: Any) -> None:
    """Compute as many steps as each line of the input says. Answer with the seconds of one."""
    while True:
        try:
            count = int(input())
        except EOFError:
            return
        gc.collect()
        start = time.perf_counter()
        for _ in range(count):
            step()
        print(json.dumps((time.perf_counter() - start) / count), flush=True)


def main() -> None:
    """Compute in this process what the process that started it asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads")
    parser.add_argument("network", choices=list(NETWORKS))
    parser.add_argument("library", choices=["rustorch", "torch"])
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    library = import_module(options.library)
    if options.library == "torch":
        library.set_num_threads(options.threads)
    _serve(NETWORKS[options.network].step().alone(library))


if __name__ == "__main__":
    main()
