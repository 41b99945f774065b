"""Attention of 2,048 queries and keys, forward and backward: time, and peak memory above the inputs.

``python -m benchmarks --only attention``. The memory is measured in new processes, one for each library.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy

from . import memory
from .ops import time_operation
from .ops_inputs import normal
from .ops_table import Operation
from .processes import libraries
from .processes import run as run_process
from .timing import report

#: Batch, heads, queries and keys, features.
SHAPE = (4, 8, 2048, 64)
#: Titles of the two kinds, and whether the mask is causal.
KINDS = {"all keys": False, "causal": True}


def operation(causal: bool) -> Operation:
    """The function, for `ops.time_operation`."""

    def prepare(library: Any) -> Callable[..., Any]:
        return partial(library.nn.functional.scaled_dot_product_attention, is_causal=causal)

    return Operation("attention", prepare, [normal(*SHAPE)] * 3, [normal(*SHAPE)] * 3)


def measure(library: str, causal: bool, shape: tuple[int, ...] = SHAPE) -> tuple[float, float]:
    """MiB of this process with queries, keys, values and the gradient of the result, and the peak of the call."""
    module = import_module(library)
    function = operation(causal).prepare(module)

    def call(*shape: int) -> Callable[[], None]:
        generator = numpy.random.default_rng(0)
        *inputs, gradient = (
            module.tensor(generator.standard_normal(shape, "float32"), requires_grad=i < 3) for i in range(4)
        )
        return lambda: function(*inputs).backward(gradient)

    call(1, 1, 64, 64)()  # loads what is loaded at the first call
    return memory.peak_of(call(*shape))


def run(rounds: int) -> None:
    """Print the times and the memory."""
    shape = " x ".join(f"{n:,}" for n in SHAPE)
    for kind, causal in KINDS.items():
        one = operation(causal)
        report(f"attention of {shape}, {kind}, forward and backward", time_operation(one, one.large, rounds))
    if not memory.can_measure():
        print("\nits memory: not measured, it needs Linux")
        return
    for kind, causal in KINDS.items():
        results = {library: tuple(run_process("benchmarks.attention", library, int(causal))) for library in libraries()}
        memory.report(f"peak memory of it above its inputs, {kind}", results)


def main() -> None:
    """Measure the memory in this process, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention")
    parser.add_argument("library", choices=["rustorch", "torch"])
    parser.add_argument("causal", type=int, choices=[0, 1])
    options = parser.parse_args()
    print(json.dumps(measure(options.library, bool(options.causal))))


if __name__ == "__main__":
    main()
