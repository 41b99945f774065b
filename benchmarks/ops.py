"""Functions and layers, forward and backward, at a small and at a large size: ``python -m benchmarks --only ops``.

``python -m benchmarks.ops gelu softmax`` runs a part of the table, and ``python -m benchmarks.ops --more`` the
functions of `ops_more`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy

from .ops_checks import Results
from .ops_inputs import Input
from .ops_more import MORE
from .ops_table import OPERATIONS, Operation
from .steps import torch_on
from .timing import medians

ALL = OPERATIONS | MORE
#: Seconds that each function runs in a round, about.
SECONDS = 0.04


class Call(NamedTuple):
    """A function with its inputs in one library: ``both()`` computes it forward and backward."""

    both: Callable[[], Any]
    leaves: list[Any]

    def results(self) -> Results:
        """The result and the gradients of the inputs, as NumPy arrays."""
        out = self.both().detach()
        return [numpy.asarray(array) for array in (out, *[leaf.grad for leaf in self.leaves])]


def prepare(library: Any, operation: Operation, inputs: Sequence[Input]) -> Call:
    """The function on fixed numbers, which are the same for both libraries, as is the gradient of its result."""
    generator = numpy.random.default_rng(0)
    tensors = [library.tensor(one.make(generator), requires_grad=one.gradient) for one in inputs]
    leaves = [tensor for tensor, one in zip(tensors, inputs, strict=True) if one.gradient]
    function = operation.prepare(library)
    out = function(*tensors)
    gradient: tuple[Any, ...] = ()
    if out.ndim:
        drawn = generator.standard_normal((*out.shape, 2), "float32").view("complex64")[..., 0]
        is_complex = "complex" in str(out.dtype)
        gradient = (library.tensor(drawn if is_complex else drawn.real.copy()),)

    def both() -> Any:
        for leaf in leaves:
            leaf.grad = None
        out = function(*tensors)
        out.backward(*gradient)
        return out

    return Call(both, leaves)


def time_operation(operation: Operation, inputs: Sequence[Input], rounds: int) -> dict[str, tuple[float, float]]:
    """Compare the results of the libraries, and time them. See `timing.medians` for the result."""
    import rustorch

    calls = {"rustorch": prepare(rustorch, operation, inputs)}
    if torch := torch_on("cpu"):
        calls["torch"] = prepare(torch, operation, inputs)
        operation.check(calls["rustorch"].results(), calls["torch"].results())
    return medians({name: call.both for name, call in calls.items()}, rounds, SECONDS)


def geometric_mean(ratios: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _text(results: dict[str, tuple[float, float]]) -> str:
    text = f"{results['rustorch'][0] * 1e6:9.0f} us"
    if "torch" in results:
        seconds, ratio = results["torch"]
        text += f"{seconds * 1e6:9.0f} us{ratio:7.2f}"
    return text


def run(rounds: int, names: Sequence[str] = tuple(OPERATIONS)) -> int:
    """Print a line for each function, and the geometric means.

    Returns
    -------
    int
        How many functions failed, or gave other results than PyTorch's.
    """
    print(f"\n{'forward and backward':34}{'small: rustorch, torch, ratio':>36}{'large: rustorch, torch, ratio':>36}")
    ratios: dict[str, dict[str, float]] = {"small": {}, "large": {}}
    failed = 0
    for name in names:
        operation, texts = ALL[name], []
        for size, measured in ratios.items():
            try:
                results = time_operation(operation, getattr(operation, size), rounds)
            except Exception as error:  # the next functions are timed all the same
                failed += 1
                texts.append(f"   FAILED {type(error).__name__}: {' '.join(str(error).split())[:300]}")
                continue
            texts.append(f"{_text(results):>36}")
            if "torch" in results:
                measured[name] = results["torch"][1]
        print(f"{name:34}" + "".join(texts), flush=True)
    every = [ratio for measured in ratios.values() for ratio in measured.values()]
    if every:
        parts = ", ".join(f"{size} {geometric_mean([*found.values()]):.2f}" for size, found in ratios.items() if found)
        print(f"geometric mean of {len(every)} ratios: {geometric_mean(every):.2f} ({parts}); largest {max(every):.2f}")
    return failed


def main() -> int:
    """Time the functions that the command line names. Return how many failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ops")
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(ALL)}; by default, the 40 of the table"
    )
    parser.add_argument("--more", action="store_true", help=f"those that are not in the table: {', '.join(MORE)}")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in ALL]:
        parser.error(f"unknown: {', '.join(unknown)}")
    return run(options.rounds, options.names or tuple(MORE if options.more else OPERATIONS))


if __name__ == "__main__":
    sys.exit(min(main(), 1))
