"""Running a function on symbols: what it computes, which of its inputs it needs, and why it is no loop."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..autograd.graph import Value, make
from ..backends.fusing import Loop
from ..backends.symbolic import tracing
from ..backends.symbols import Number, Refused, Symbol

#: A function of Variables, numbers and None, by position. It returns a tuple of Variables and None.
Function = Callable[..., tuple[Any, ...]]

_PACKAGE = str(Path(__file__).parents[1])
_LIBRARIES = ("numpy", "cupy", "array_api_compat")


def plain_of(function: Function, dtype: Any, name: str) -> Callable[..., tuple[Any, ...]]:
    """The function as a plain version of a kernel: ``plain(xp, *values)`` of symbols, for arrays of one dtype."""

    def plain(xp: Any, *values: Any) -> tuple[Any, ...]:
        loop = next(v.loop for v in values if isinstance(v, Symbol))
        with tracing(loop, dtype):
            outs = function(*[_given(v) for v in values])
        return tuple([None if out is None else _symbol_of(out) for out in outs])

    plain.__name__ = name
    return plain


def _given(value: Any) -> Any:
    if isinstance(value, Symbol):
        return make(value)
    return Number(value.value) if isinstance(value, Number) else value


def _symbol_of(out: Value) -> Symbol:
    """What stands behind a result."""
    native = out._native
    if not isinstance(native, Symbol):
        raise Refused("it returns an array that it did not compute from its arguments")
    return native


class Trace:
    """What is known of a function from one run.

    Parameters
    ----------
    plain : callable
        From `plain_of`.
    kinds : str
        A letter for each value: ``v`` for an array of numbers, ``m`` for one of truth values, ``#`` for a number and
        ``-`` for None.

    Attributes
    ----------
    truths : list of (bool or None)
        Whether each result is an array of truth values; None for a result that there is not.
    needed : list of bool
        Whether each value leads to a result.
    whole : bool
        Whether all results have the shape to which all arrays broadcast.
    shapes : list of (list of int or None)
        For each result, the places of the values that are known to decide its shape: it may be larger.
    lines : int
        The number of operations.
    """

    def __init__(self, plain: Callable[..., tuple[Any, ...]], kinds: str):
        arrays = [i for i, kind in enumerate(kinds) if kind != "#"]
        numbers = [i for i, kind in enumerate(kinds) if kind == "#"]
        names = [None if kinds[i] == "-" else f"e{i}" for i in arrays]

        def in_order(xp: Any, *values: Any) -> tuple[Any, ...]:
            given = dict(zip([*arrays, *numbers], values, strict=True))
            return plain(xp, *[given[i] for i in range(len(kinds))])

        loop = Loop(in_order, names, [1.0] * len(numbers), [f"e{i}" for i in arrays if kinds[i] == "m"])
        self.lines = len(loop.lines)
        self.truths = [None if out is None else out.is_truth for out in loop.outputs]
        used = {v.name for line in loop.lines for v in line.values if isinstance(v, Symbol)}
        used.update([out.name for out in loop.outputs if out is not None])
        self.needed = [kind == "#" or f"e{i}" in used for i, kind in enumerate(kinds)]
        present = [i for i in arrays if kinds[i] != "-"]
        sources = [frozenset() if out is None else out.sources for out in loop.outputs]
        self.shapes = [None if out is None else [i for i in present if f"e{i}" in s]
                       for out, s in zip(loop.outputs, sources, strict=True)]  # fmt: skip
        self.whole = all(places is None or places == present for places in self.shapes)

    def fits(self, values: Sequence[Any], broadcast: Callable[..., tuple[int, ...]]) -> bool:
        """Whether all results have the shape to which all arrays broadcast, in a call with these arrays."""
        if self.whole:
            return True
        full = broadcast(*[tuple(v.shape) for v in values if hasattr(v, "shape")])
        known = [places for places in self.shapes if places is not None]
        return all(places and broadcast(*[tuple(values[i].shape) for i in places]) == full for places in known)


def place_of(error: BaseException) -> str:
    """``(file, line n: text)`` of the last line of the program's own before an error in the library."""
    found = ""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        module = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if not file.startswith(_PACKAGE) and module not in _LIBRARIES:
            text = linecache.getline(file, step.tb_lineno).strip()
            found = f" ({file}, line {step.tb_lineno}" + (f": `{text}`)" if text else ")")
        step = step.tb_next
    return found
