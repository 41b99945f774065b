"""Steps of the optimizers as one compiled call for all parameters, in place, from the plain versions.

The call gets a table. A row of it is a part of one parameter: the addresses of the arrays, the first element and the
number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy

from ..fusing import Loop
from ..kernels import optim as plain
from .fusing import PYTHON, cost_of
from .kernel import LEAST, Kernel

if TYPE_CHECKING:
    from ..base import Array

#: What a kernel is called with: its arrays (or None) by position, and its numbers by keyword.
Call = tuple[Sequence["Array | None"], dict[str, Any]]
#: Elements of a part: its arrays fit into the second-level cache.
PART = 1 << 14
_FLOATS = {numpy.dtype("float32"), numpy.dtype("float64")}


class _Update:
    """The loop of an update, for calls in which the same arrays are None and the same numbers are 0 or False."""

    def __init__(self, name: str, absent: Sequence[bool], values: Sequence[Any]):
        update, keywords = getattr(plain, name), _KEYWORDS[name]
        count = len(absent)

        def by_position(xp: Any, *args: Any) -> Any:
            return update(xp, *args[:count], **dict(zip(keywords, args[count:], strict=True)))

        present = [None if is_none else f"e{i}" for i, is_none in enumerate(absent)]
        self.loop = loop = Loop(by_position, present, values)
        results = loop.results(PYTHON)
        #: The arrays of the table: those that are there, and those that the update makes.
        self.places = [i for i in range(count) if not absent[i] or (i > 1 and results[i - 1] is not None)]
        #: The places of arrays that the update makes.
        self.made = [i for i in self.places if absent[i]]
        fields = len(self.places) + 2
        lines = [f"a{i} = array_of(table[row + {k}], OFFSET, T)[begin:end]" for k, i in enumerate(self.places)]
        inside = [f"e{i} = a{i}[i]" for i in self.places if not absent[i]]
        inside += loop.body(PYTHON)
        targets = [0, *range(2, count)]
        inside += [f"a{i}[i] = {out}" for i, out in zip(targets, results, strict=True) if out is not None]
        constants = "".join([f"c{i}, " for i in range(len(loop.constants))])
        text = f"""
def loop(table, {constants}start, stop):
    for r in range(start, stop):
        row = r * {fields}
        begin = table[row + {fields - 2}]
        end = begin + table[row + {fields - 1}]
        {_join(lines, 8)}
        for i in range(a0.size):
            {_join(inside, 12)}
"""
        names: dict[str, Any] = {}
        exec(text, names)  # written above; no part of it comes from outside
        # exact, so that a parameter gets the same bits, whether it is updated here or by NumPy, alone or with others
        tokens = " ".join(["i8[]", *["T"] * len(loop.constants)])
        self.kernel = Kernel(names["loop"], tokens, exact=True, name=name)
        self.cost = cost_of(loop)


def _join(lines: Sequence[str], indent: int) -> str:
    return ("\n" + " " * indent).join(lines)


def _keywords(name: str) -> tuple[str, ...]:
    parameters = signature(getattr(plain, name)).parameters.values()
    return tuple([p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY])


_KEYWORDS = {name: _keywords(name) for name in plain.ELEMENTWISE}
_VALUES: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    name: itemgetter(*keywords) for name, keywords in _KEYWORDS.items()
}
_updates: dict[Any, _Update] = {}


def steps(name: str, calls: Sequence[Call]) -> list[tuple[Any, ...] | None]:
    """What a kernel of ``kernels/optim.py`` returns for each of several calls; None for those that NumPy should serve.

    Those are calls with arrays that are not contiguous, of other dtypes, or read-only, and all calls while the loop is
    not compiled.
    """
    outcomes: list[tuple[Any, ...] | None] = [None] * len(calls)
    groups: dict[Any, list[int]] = {}
    last: Any = None
    values: Any = ()
    for i, (arrays, numbers) in enumerate(calls):
        if numbers is not last:
            last, values = numbers, _VALUES[name](numbers)
        if _serves(arrays):
            groups.setdefault((arrays[0].dtype, values, tuple([a is None for a in arrays])), []).append(i)  # type: ignore[union-attr]
    for (dtype, numbers_, absent), members in groups.items():
        key = (name, absent, *map(bool, numbers_))
        update = _updates.get(key)
        if update is None:
            update = _updates[key] = _Update(name, absent, numbers_)
        done = _step(update, dtype, numbers_, [calls[i][0] for i in members])
        for i, outcome in zip(members, done or [], strict=done is not None):
            outcomes[i] = outcome
    return outcomes


def _serves(arrays: Sequence[Any]) -> bool:
    """Whether the loop can work on these arrays: the parameter, its gradient, and the state."""
    p = arrays[0]
    dtype, shape = p.dtype, p.shape
    if dtype not in _FLOATS or not p.flags.carray:
        return False
    for a in arrays[1:]:
        if a is not None:
            flags = a.flags
            if a.dtype is not dtype or a.shape != shape or not (flags.carray or (a is arrays[1] and _readable(flags))):
                return False
    return True


def _readable(flags: Any) -> bool:
    return bool(flags.c_contiguous and flags.aligned)


def _step(
    update: _Update, dtype: Any, values: Sequence[Any], calls: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]] | None:
    """One call for all parameters, or None where the loop is not compiled."""
    total = sum([arrays[0].size for arrays in calls])
    launch = update.kernel.of(dtype, max(total, LEAST))
    if launch is None:
        return None
    table: list[int] = []
    results: list[tuple[Any, ...]] = []
    for arrays in calls:
        p = arrays[0]
        if update.made:
            arrays = [numpy.empty_like(p) if i in update.made else a for i, a in enumerate(arrays)]
        results.append((p, *arrays[2:]))
        addresses = [id(arrays[i]) for i in update.places]
        size = p.size
        for begin in range(0, size, PART):
            table += addresses
            table += (begin, min(PART, size - begin))
    rows = len(table) // (len(update.places) + 2)
    launch(rows, total * update.cost, numpy.array(table, numpy.int64), *update.loop.values(values))
    return results


def _single(name: str) -> Callable[..., Any]:
    """The kernel for one parameter."""

    def step(*arrays: Array | None, **numbers: Any) -> Any:
        p: Any = arrays[0]
        if p.size < LEAST:
            return NotImplemented
        outcome = steps(name, [(arrays, numbers)])[0]
        return NotImplemented if outcome is None else outcome

    step.__name__ = name
    return step


OVERRIDES: dict[str, Callable[..., Any]] = {name: _single(name) for name in plain.ELEMENTWISE}
