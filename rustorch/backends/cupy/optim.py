"""Steps of the optimizers on CuPy: in place, and for all parameters of a device in one launch or a few.

The formulas stand in ``backends/kernels``, under the same names. The elementwise updates are traced from there into
CUDA loops. Adafactor and Muon have sources of their own, in the files of those names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import cupy

from ..fusing import Loop
from ..kernels import KERNELS
from ..kernels.optim import ELEMENTWISE
from ..registry import of
from . import adafactor, muon
from .fusing import CUDA
from .launch import REAL
from .tables import CHUNK, Contiguous, Tables, Tensor

if TYPE_CHECKING:
    from ..base import Array

#: What a kernel is called with: its arrays (or None) by position, and its numbers by keyword.
Call = tuple[Sequence["Array | None"], dict[str, Any]]


def _keywords(name: str) -> tuple[str, ...]:
    """The names of a kernel's numbers, in the order of its signature."""
    parameters = signature(KERNELS[name]).parameters.values()
    return tuple([p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY])


_KEYWORDS = {name: _keywords(name) for name in (*ELEMENTWISE, "adafactor", "muon")}
#: Kernel -> the values of its numbers, from a dict of them, in the order of its signature.
_VALUES: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    name: itemgetter(*keywords) for name, keywords in _KEYWORDS.items()
}


def steps(name: str, calls: Sequence[Call]) -> list[tuple[Any, ...]]:
    """What a kernel returns for each of several calls, all on the current GPU. One launch serves all calls with the
    same dtype and numbers.
    """
    values = _VALUES[name]
    results: list[Any] = [None] * len(calls)
    groups: dict[Any, list[int]] = {}
    for i, (arrays, numbers) in enumerate(calls):
        groups.setdefault(_key(name, arrays, values(numbers)), []).append(i)
    for key, members in groups.items():
        arrays_of_calls = [calls[i][0] for i in members]
        numbers = calls[members[0]][1]
        if key is None:
            outcomes = [_plain_step(name, *calls[i]) for i in members]
        elif name == "adafactor":
            outcomes = adafactor.step_all(arrays_of_calls, **numbers)
        elif name == "muon":
            outcomes = muon.step_all(arrays_of_calls, **numbers)
        else:
            outcomes = _elementwise(name, key[2], key[1]).step_all(arrays_of_calls, key[1])
        for i, outcome in zip(members, outcomes, strict=True):
            results[i] = outcome
    return results


def _key(name: str, arrays: Sequence[Array | None], values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What calls of one launch have in common: dtype, numbers, and a shape or which arrays are None.

    None where the plain version has to do it: for other dtypes, and for empty arrays.
    """
    p: Any = arrays[0]
    dtype, shape = p.dtype, p.shape
    if dtype not in REAL:
        return None
    for a in arrays:
        if a is not None and (a.dtype != dtype or not a.size or (a.shape != shape and name != "adafactor")):
            return None
    if name == "adafactor":
        return dtype, values
    return dtype, values, shape if name == "muon" else tuple([a is None for a in arrays])


def _plain_step(name: str, arrays: Sequence[Array | None], numbers: dict[str, Any]) -> tuple[Any, ...]:
    backend: Any = of(arrays[0])
    result: tuple[Any, ...] = KERNELS[name](backend.xp, *arrays, **numbers)
    return result


# -- each element by itself --------------------------------------------------------------------------------------------
class _Elementwise(NamedTuple):
    """The launch for calls in which the same arrays are None and the same numbers are 0 or False."""

    name: str
    loop: Loop
    tables: Tables

    def step_all(self, calls: Sequence[Sequence[Any]], values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The step of each of (p, g, *state)."""
        memory, tensors, results = Contiguous(), [], []
        for p, g, *state in calls:
            # a state that is None gets an array where the update makes one
            old = [
                p,
                *[
                    cupy.empty_like(p) if a is None and made is not None else a
                    for a, made in zip(state, self.loop.outputs[1:], strict=True)
                ],
            ]
            results.append(tuple(old))
            if not p.flags.c_contiguous and p.flags.f_contiguous:  # the transposed arrays are contiguous
                g, old = g.T, [None if a is None else a.T for a in old]
            written = [memory.writes(a) for a in old if a is not None]
            tensors.append(Tensor([*written, memory.reads(g)], [p.size], -(-p.size // CHUNK)))
        self.tables.run(self.name, tensors, *self.loop.values(values))
        memory.finish()
        return results


_loops: dict[tuple[Any, ...], _Elementwise] = {}


def _elementwise(name: str, absent: tuple[bool, ...], values: tuple[Any, ...]) -> _Elementwise:
    """The launch of an update, made once for the arrays that are None and for the truth of the numbers, on which the
    plain version branches.
    """
    key = (name, absent, *map(bool, values))
    if key not in _loops:
        update, keywords = KERNELS[name], _KEYWORDS[name]

        def by_position(xp: Any, *args: Any) -> Any:
            return update(xp, *args[: len(absent)], **dict(zip(keywords, args[len(absent) :], strict=True)))

        names = ["p", "g", *[f"s{i}" for i in range(len(absent) - 2)]]
        present = [None if is_none else name for is_none, name in zip(absent, names, strict=True)]
        loop = Loop(by_position, present, values)
        written = [
            (n, result)
            for n, result in zip([names[0], *names[2:]], loop.results(CUDA), strict=True)
            if result is not None
        ]
        arrays = [*[n for n, _ in written], "g"]
        pointers = [f"T* {n}_ = ARRAY({i});" for i, n in enumerate(arrays)]
        reads = [f"T {n} = {n}_[i];" for n in present if n is not None]
        body = "\n        ".join(reads + loop.body(CUDA) + [f"{n}_[i] = {result};" for n, result in written])
        constants = "".join([f", T c{i}" for i in range(len(loop.constants))])
        function = f"rustorch_{name}"
        text = f"""
extern "C" __global__ void {function}(Table table{constants}) {{
    Place at(table);
    {" ".join(pointers)}
    EACH(i, SIZE(0)) {{
        {body}
    }}
}}
"""
        _loops[key] = _Elementwise(function, loop, Tables(text, len(arrays), 1, len(loop.constants)))
    return _loops[key]


def _single(name: str) -> Callable[..., tuple[Any, ...]]:
    """The kernel for one parameter."""

    @wraps(KERNELS[name])
    def run(*arrays: Array | None, **numbers: Any) -> tuple[Any, ...]:
        return steps(name, [(arrays, numbers)])[0]

    return run


OVERRIDES: dict[str, Callable[..., Any]] = {name: _single(name) for name in _KEYWORDS}
