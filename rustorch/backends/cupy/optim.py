"""Steps of the optimizers, in place: all parameters of a call in one launch, or in as many as a matrix needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cupy

from ..kernels import optim as plain_versions
from . import adafactor, clipping, muon
from .fusing import Loop
from .launch import REAL, call_plain
from .tables import CHUNK, Contiguous, Tables, Tensor

#: How many of a kernel's first arguments are arrays (or None).
_ARRAYS = plain_versions.ELEMENTWISE | {"adafactor": 5, "muon": 3}


def steps(name: str, calls: Sequence[tuple]) -> list[tuple]:
    """What a kernel returns for each tuple of arguments, all on the current GPU. Calls that are alike are launched
    together.
    """
    arrays = _ARRAYS[name]
    results: list[Any] = [None] * len(calls)
    alike: dict[Any, list[int]] = {}
    for i, call in enumerate(calls):
        alike.setdefault(_kind(name, call[:arrays], call[arrays:]), []).append(i)
    for kind, places in alike.items():
        some = [calls[i] for i in places]
        found = [call_plain(name, *call) for call in some] if kind is None else _together(name, kind, some, arrays)
        for i, result in zip(places, found, strict=True):
            results[i] = result
    return results


def _kind(name: str, arrays: tuple, numbers: tuple) -> tuple | None:
    """What calls of one launch have in common; None where the plain version has to do it: for other dtypes, and empty
    arrays.
    """
    p, given = arrays[0], [a for a in arrays if a is not None]
    if p.dtype not in REAL or any(a.dtype != p.dtype or not a.size for a in given):
        return None
    if name == "adafactor":
        return p.dtype, numbers
    if any(a.shape != p.shape for a in given):
        return None
    return p.dtype, numbers, p.shape if name == "muon" else tuple([a is None for a in arrays])


def _together(name: str, kind: tuple, calls: list[tuple], arrays: int) -> list[tuple]:
    numbers = kind[1]
    given = [call[:arrays] for call in calls]
    if name == "adafactor":
        return adafactor.steps(given, *numbers)
    if name == "muon":
        return muon.steps(given, *numbers)
    return _elementwise(name, kind[2], numbers).steps(given, numbers)


# -- each number by itself ---------------------------------------------------------------------------------------------
class _Elementwise(NamedTuple):
    """The launch for calls in which the same arrays are there and the same numbers are true."""

    name: str
    loop: Loop
    tables: Tables

    def steps(self, calls: list[tuple], numbers: tuple) -> list[tuple]:
        memory, tensors, results = Contiguous(), [], []
        for p, g, *state in calls:
            # what is None and shall be something is a new array
            old = [
                p,
                *[
                    cupy.empty_like(p) if a is None and made else a
                    for a, made in zip(state, self.loop.results[1:], strict=True)
                ],
            ]
            results.append(tuple(old))
            if not p.flags.c_contiguous and p.flags.f_contiguous:  # as its transpose, it is what it has to be
                g, old = g.T, [None if a is None else a.T for a in old]
            written = [memory.writes(a) for a in old if a is not None]
            tensors.append(Tensor([*written, memory.reads(g)], [p.size], -(-p.size // CHUNK)))
        self.tables.run(self.name, tensors, *self.loop.values(numbers))
        memory.finish()
        return results


_loops: dict[tuple, _Elementwise] = {}


def _elementwise(name: str, absent: tuple[bool, ...], numbers: tuple) -> _Elementwise:
    key = (name, absent, *map(bool, numbers))  # what the plain version looks at
    if key not in _loops:
        names = ["p", "g", *[f"s{i}" for i in range(len(absent) - 2)]]
        given = [None if a else name for name, a in zip(names, absent, strict=True)]
        loop = Loop(getattr(plain_versions, name), given, numbers)
        written = [
            (n, result) for n, result in zip([names[0], *names[2:]], loop.results, strict=True) if result is not None
        ]
        arrays = [*[n for n, _ in written], "g"]
        starts = [f"T* {n}_ = ARRAY({i});" for i, n in enumerate(arrays)]
        reads = [f"T {n} = {n}_[i];" for n in given if n is not None]
        body = "\n        ".join(reads + loop.lines + [f"{n}_[i] = {result};" for n, result in written])
        constants = "".join([f", T c{i}" for i in range(len(loop.constants))])
        function = f"rustorch_{name}"
        text = f"""
extern "C" __global__ void {function}(Table table{constants}) {{
    Place at(table);
    {" ".join(starts)}
    EACH(i, SIZE(0)) {{
        {body}
    }}
}}
"""
        _loops[key] = _Elementwise(function, loop, Tables(text, len(arrays), 1, len(loop.constants)))
    return _loops[key]


def _single(name: str) -> Callable[..., tuple]:
    """The kernel, for one parameter."""

    def run(*args: Any) -> tuple:
        return steps(name, [args])[0]

    run.__name__ = name
    return run


OVERRIDES: dict[str, Callable] = {name: _single(name) for name in _ARRAYS} | clipping.OVERRIDES
