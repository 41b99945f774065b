"""The sum of what a plain elementwise function computes, in the loop that computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

from ..fusing import Loop
from .fusing import PYTHON, aligned, cost_of
from .kernel import LEAST, Kernel

#: Elements whose sum is made in the array's dtype. The sums of blocks are added up in float64.
BLOCK = 4096
_NUMBERS = frozenset({int, float})


class _Summing:
    """The compiled loop for one kind of arguments."""

    def __init__(self, plain: Callable[..., Any], kinds: str, numbers: Sequence[Any], name: str):
        variables = [f"e{i}" if kind == "v" else None for i, kind in enumerate(kinds) if kind != "#"]

        def by_position(xp: Any, *values: Any) -> tuple[Any]:
            arrays, rest = iter(values[: len(variables)]), iter(values[len(variables) :])
            return (plain(xp, *[next(rest) if kind == "#" else next(arrays) for kind in kinds]),)

        loop = Loop(by_position, variables, numbers)
        used = [v[1:] for v in variables if v is not None]
        constants = [f"c{i}" for i in range(len(loop.constants))]
        lines = [
            f"def loop({', '.join([*[f'a{i}' for i in used], 'sums', *constants, 'n', 'start', 'stop'])}):",
            "    for r in range(start, stop):",
            *[f"        x{i} = a{i}[r * {BLOCK} : min(r * {BLOCK} + {BLOCK}, n)]" for i in used],
            "        total = T(0.0)",
            f"        for i in range(x{used[0]}.size):",
            *[f"            e{i} = x{i}[i]" for i in used],
            *[f"            {line}" for line in loop.body(PYTHON)],
            f"            total = plus(total, {loop.results(PYTHON)[0]})",
            "        sums[r] = total",
        ]
        names: dict[str, Any] = {}
        exec("\n".join(lines) + "\n", names)  # written above; no part of it comes from outside
        tokens = ["T[]"] * len(used) + ["f8[]"] + ["T"] * len(constants) + ["int"]
        self.of = Kernel(names["loop"], " ".join(tokens), name=f"sum of {name}").of
        self.values, self.cost = loop.values, cost_of(loop)


class Summed:
    """The sum of a plain elementwise function's results over all elements.

    A call returns a NumPy scalar, or NotImplemented where NumPy should serve: for small arrays, for arrays of several
    shapes or dtypes, and while the loop is not compiled.

    Parameters
    ----------
    plain : callable
        ``plain(xp, *values)`` of arrays, numbers and None. It returns an array.
    least : int
        The number of elements from which the loop is worth it.
    """

    def __init__(self, plain: Callable[..., Any], least: int = LEAST):
        self.least = least
        self._plain = plain
        self._loops: dict[Any, _Summing] = {}

    def __call__(self, *args: Any) -> Any:
        arrays, numbers, kinds = [], [], ""
        for a in args:
            if type(a) is numpy.ndarray:
                arrays.append(a)
                kinds += "v"
            elif a is None:
                kinds += "-"
            elif type(a) in _NUMBERS:
                numbers.append(a)
                kinds += "#"
            else:
                return NotImplemented
        first = arrays[0]
        size, dtype, shape = first.size, first.dtype, first.shape
        if size < self.least or any(a.shape != shape or a.dtype is not dtype for a in arrays):
            return NotImplemented
        key = (kinds, *map(bool, numbers))
        loop = self._loops.get(key)
        if loop is None:
            loop = self._loops[key] = _Summing(self._plain, kinds, numbers, self._plain.__name__)
        launch = loop.of(dtype, size)
        if launch is None:
            return NotImplemented
        sums = numpy.empty(-(-size // BLOCK))
        given = [aligned(numpy.ascontiguousarray(a)) for a in arrays]
        launch(sums.size, size * loop.cost, *given, sums, *loop.values(numbers), size)
        return dtype.type(numpy.add.reduce(sums))
