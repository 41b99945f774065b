"""The compiled loop of a recurrent layer over all its steps. See `recurrent`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from ..fusing import Loop
from ..threads import get_num_threads
from .fusing import PYTHON
from .kernel import Kernel
from .processor import tile_shape
from .products import matrix, pack, steps
from .products_loops import PACK, clear

if TYPE_CHECKING:
    from ..base import Array

#: Units of a block. Its results stay on the stack until all are computed, so that LLVM need not ask which arrays
#: overlap.
_BLOCK = 256
#: Samples of a thread at a time.
MOST = 64


class Part(NamedTuple):
    """An array of a step: how many parts of ``width`` units lie side by side, whether each sample has its own, and
    whether its rows are as far apart as those of the products.
    """

    parts: int
    per_sample: bool = True
    is_product: bool = False


class Recurrence:
    """The compiled loop over steps, samples and units. Each thread runs all steps for some samples.

    Parameters
    ----------
    cell : callable
        ``cell(xp, *elements)``: an elementwise function of the parts of all arrays that are read. It returns the parts
        of all arrays that are written, in order.
    reads, writes : sequence of Part
        The arrays. One that is written may also be read, at the same place.
    product, state : int
        The indices of two arrays: the one that holds the state times the weight, and the one that is multiplied.
        Forward, the product is computed before a step, from what the step before wrote; backward it is computed after
        the step.
    before : int, optional
        Which array that is read is that of the step before in time. The first step in time reads another array.
    backward : bool
        Whether the steps go back in time.
    """

    def __init__(
        self,
        cell: Callable[..., Any],
        reads: Sequence[Part],
        writes: Sequence[Part],
        name: str,
        product: int,
        state: int,
        before: int | None = None,
        backward: bool = False,
    ):
        step = _step(cell, reads, writes)
        arrays = [f"a{k}" for k in range(len(reads) + len(writes))]
        places = [f"numbers[{7 + 2 * k}] + i * numbers[{8 + 2 * k}] + r" for k in range(len(arrays))]
        edge = ["first" if k == before else name for k, name in enumerate(arrays)]
        at_edge = ["r" if k == before else place for k, place in enumerate(places)]
        previous = f"numbers[{7 + 2 * state}] + (i - 1) * numbers[{8 + 2 * state}] + r"
        if backward:
            multiply = [*_product(product, f"a{state}", places[state], "has_state | (i + 1 < steps)")]
        else:
            multiply = [
                *_product(product, f"a{state}", previous, "i > 0"),
                *_product(product, "given", "r", "(i == 0) & (has_state != 0)"),
                "if (i == 0) & (has_state == 0):",
                f"    clear(a{product}[r * stride : (r + n) * stride])",
            ]
        run = [
            f"if i == {'steps - 1' if backward else '0'}:",
            f"    step({', '.join([*edge, *at_edge])}, width, stride, 0, n)",
            "else:",
            f"    step({', '.join([*arrays, *places])}, width, stride, 0, n)",
        ]
        text = [
            f"def sequence({', '.join(arrays)}, first, given, packed, lines, rows, depths, numbers, start, stop):",
            "    batch, block, steps, width, depth, stride, has_state = (",
            "        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6])",
            "    w, height = tile_columns(T(0.0)), tile_rows()",
            "    begins, places, counts = scratch(0, 2), scratch(0, 2), scratch(0, 2)",
            "    for v in range(2):",
            "        begins[v], places[v], counts[v] = v * (w // 2), v * (w // 2), w // 2",
            "    for item in range(start, stop):",
            "        r = item * block",
            "        n = min(block, batch - r)",
            "        for i in range(steps):",
            *[f"            {line}" for line in ([*run, *multiply] if backward else [*multiply, *run])],
        ]
        names: dict[str, Any] = {"step": step, "clear": clear}
        exec("\n".join(text), names)  # written above; no part of it comes from outside
        tokens = ["T[]"] * len(arrays) + ["T[]", "T[]?", "T[]", "i8[]", "i8[]", "i8[]", "i8[]"]
        self._kernel = Kernel(names["sequence"], " ".join(tokens), name=name)

    def of(self, dtype: Any, size: int) -> tuple[Callable[..., None], Callable[..., None]] | None:
        """The compiled loops for `run`, or None where NumPy should serve."""
        sequence, panels = self._kernel.of(dtype, size), PACK.of(dtype, size)
        return None if sequence is None or panels is None else (sequence, panels)


def _product(product: int, state: str, place: str, condition: str) -> list[str]:
    """The lines of a product of some rows with all panels of the weight."""
    return [
        f"if {condition}:",
        "    for j in range(stride // w):",
        "        for q in range(0, n, height):",
        f"            tile({state}, ({place} + q) * depth, rows, 0, min(height, n - q), depths, 0, depth,",
        f"                 packed, lines, j * depth, begins, a{product}, places, (r + q) * stride + j * w, stride,",
        "                 counts, 0, None, 1, 2)",
    ]


class Row(NamedTuple):
    """An array of a sequence, the row of its first step, and how many rows the next step is further on."""

    array: Array
    first: int = 0
    step: int = 0


def run(
    launches: tuple[Callable[..., None], Callable[..., None]],
    arrays: Sequence[Row],
    first: Array,
    given: Array | None,
    weight: Array,
    steps_: int,
    batch: int,
    width: int,
) -> None:
    """Run all steps.

    Parameters
    ----------
    launches : pair
        From `Recurrence.of`.
    arrays : sequence of Row
        Those that are read, and then those that are written.
    first : array
        What the first step in time reads in place of the step before.
    given : array, or None
        The state that the first product is made of, or None for zeros. Backward, None means that the last product is
        not needed.
    weight : (depth, columns)
        What states are multiplied with.
    steps_, batch, width : int
        The number of steps, of samples, and of units.
    """
    sequence, panels = launches
    packed = pack(panels, matrix(weight)).array
    depth, height = weight.shape[0], tile_shape()[0]
    block = -(-batch // (height * get_num_threads())) * height  # samples of a thread: each reads all weights
    block = min(block, MOST)
    stride = len(packed) * packed.shape[2]
    numbers = [batch, block, steps_, width, depth, stride, given is not None]
    for _, row, step in arrays:
        numbers += [row, step]
    sequence(
        -(-batch // block), steps_ * batch * depth * stride // 16, *[row.array for row in arrays], first, given, packed,
        steps(len(packed) * depth, packed.shape[2]), steps(height, depth), steps(depth),
        numpy.array(numbers, numpy.int64),
    )  # fmt: skip


def _step(cell: Callable[..., Any], reads: Sequence[Part], writes: Sequence[Part]) -> Any:
    """The function of one step, over samples and units."""
    loop = Loop(cell, [f"e{i}" for i in range(sum(a.parts for a in reads))])
    results = loop.results(PYTHON)
    head, inside, after, element, result = [], [], [], 0, 0
    for k, (parts, per_sample, is_product) in enumerate([*reads, *writes]):
        row = "stride" if is_product else f"{parts} * width"
        head.append(f"k{k} = {f'(p{k} + r) * {row}' if per_sample else '0'} + j")
        for part in range(parts):
            place = f"k{k} + {part} * width"
            if k < len(reads):
                head.append(f"u{element} = a{k}[{place} : {place} + n]")
                inside.append(f"e{element} = u{element}[i]")
                element += 1
            else:
                after += [f"v = a{k}[{place} : {place} + n]", "for i in range(v.size):", f"    v[i] = s{result}[i]"]
                result += 1
    inside += [*loop.body(PYTHON), *[f"s{i}[i] = {text}" for i, text in enumerate(results)]]
    numbers = range(len(reads) + len(writes))
    parameters = [*[f"a{k}" for k in numbers], *[f"p{k}" for k in numbers], "width", "stride", "start", "stop"]
    text = [
        f"def step({', '.join(parameters)}):",
        *[f"    s{i} = scratch(T(0.0), {_BLOCK})" for i in range(len(results))],
        "    for r in range(start, stop):",
        f"        for j in range(0, width, {_BLOCK}):",
        f"            n = min(width - j, {_BLOCK})",
        *[f"            {line}" for line in head],
        "            for i in range(u0.size):",
        *[f"                {line}" for line in inside],
        *[f"            {line}" for line in after],
    ]
    names: dict[str, Any] = {}
    exec("\n".join(text), names)  # written above; no part of it comes from outside
    return names["step"]
