"""Plain code as one CUDA loop: an elementwise kernel's own function is run once on symbols, which write down what is done to them.

So there is no second version of it that could be wrong.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from inspect import signature
from types import SimpleNamespace
from typing import Any

import cupy

from .launch import Array


class Symbol:
    """An array's element (a T of CUDA) or a number (a double, which is cast where it meets an element, as NumPy casts Python's)."""

    def __init__(self, lines: list[str], text: str, element: bool, truth: bool | None = None):
        self.lines, self.text, self.element, self.truth = lines, text, element, truth

    def __bool__(self) -> bool:
        if self.truth is None:
            raise TypeError("an elementwise kernel can decide by its given numbers only")
        return self.truth

    def _as(self, element: bool, value: Any) -> str:
        text = value.text if isinstance(value, Symbol) else repr(float(value))
        return f"(T){text}" if element and not (isinstance(value, Symbol) and value.element) else text

    def made(self, text: str, *values: Any) -> Symbol:
        """What ``text`` says of the values, each in the place of a ``{}``."""
        element = self.element or any(isinstance(v, Symbol) and v.element for v in values)
        name = f"v{len(self.lines)}"  # everything gets one, so that nothing is computed twice
        self.lines.append(f"{'T' if element else 'double'} {name} = {text.format(*[self._as(element, v) for v in values])};")
        return Symbol(self.lines, name, element)

    def __neg__(self) -> Symbol:
        return self.made("-{}", self)

    def __add__(self, other: Any) -> Symbol:
        return self.made("{} + {}", self, other)

    def __sub__(self, other: Any) -> Symbol:
        return self.made("{} - {}", self, other)

    def __mul__(self, other: Any) -> Symbol:
        return self.made("{} * {}", self, other)

    def __truediv__(self, other: Any) -> Symbol:
        return self.made("{} / {}", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.made("{} + {}", other, self)

    def __rsub__(self, other: Any) -> Symbol:
        return self.made("{} - {}", other, self)

    def __rmul__(self, other: Any) -> Symbol:
        return self.made("{} * {}", other, self)

    def __pow__(self, other: Any) -> Symbol:
        return self.made("pow({}, {})", self, other)

    def __lt__(self, other: Any) -> Symbol:
        return self.made("{} < {}", self, other)

    def __gt__(self, other: Any) -> Symbol:
        return self.made("{} > {}", self, other)


def _maximum(a: Symbol, b: Any) -> Symbol:
    return a.made("{0} > {1} || {0} != {0} ? {0} : {1}", a, b)


def _minimum(a: Symbol, b: Any) -> Symbol:
    return a.made("{0} < {1} || {0} != {0} ? {0} : {1}", a, b)


#: The functions of the standard that elementwise kernels use.
_FUNCTIONS = SimpleNamespace(
    abs=lambda x: x.made("fabs({})", x),
    asarray=lambda x, copy: x,
    clip=lambda x, low, high: _minimum(_maximum(x, low), high),
    maximum=_maximum,
    sign=lambda x: x.made("{0} != {0} ? {0} : (T)(({0} > 0) - ({0} < 0))", x),
    sqrt=lambda x: x.made("sqrt({})", x),
    where=lambda condition, a, b: condition.made("{} ? {} : {}", condition, a, b),
    zeros_like=lambda x: x.made("0"),
)


class _Kernel:
    """A kernel for calls like the one it was made of.

    Attributes
    ----------
    there : list of bool
        Which of the results there are.
    """

    def __init__(self, plain: Callable, name: str, arrays: tuple[Array | None, ...], numbers: tuple):
        lines: list[str] = []
        p, g, *state = ["p", "g", *[f"s{i}" for i in range(len(arrays) - 2)]]
        elements = [None if a is None else Symbol(lines, n, True) for n, a in zip([p, g, *state], arrays, strict=True)]
        symbols = [n if isinstance(n, bool) else Symbol(lines, f"n{i}", False, bool(n)) for i, n in enumerate(numbers)]
        results = plain(_FUNCTIONS, *elements, *symbols)
        self.there = [result is not None for result in results]
        outs = list(itertools.compress([p, *state], self.there))
        lines += [f"{n} = {r.text};" for n, r in zip(outs, itertools.compress(results, self.there), strict=True)]
        body = "\n".join(lines)
        self.used = [i for i in range(len(numbers)) if re.search(rf"\bn{i}\b", body)]
        given = ["T g", *[f"float64 n{i}" for i in self.used]]
        self.run = cupy.ElementwiseKernel(", ".join(given), ", ".join(f"T {n}" for n in outs), body, name)

    def __call__(self, p: Array, g: Array, state: list[Array | None], numbers: tuple) -> tuple[Array | None, ...]:
        """Write the results over the parameter and its state, and into new arrays for what is None and shall be something."""
        results = [
            (cupy.empty_like(p) if a is None else a) if is_there else None
            for a, is_there in zip([p, *state], self.there, strict=True)
        ]
        self.run(g, *[float(numbers[i]) for i in self.used], *itertools.compress(results, self.there))
        return tuple(results)


def in_place(plain: Callable, arrays: int) -> Callable:
    """The update of a parameter (see ``kernels/optim.py``) as one launch that writes over what it replaces.

    Parameters
    ----------
    plain : callable
        The plain version.
    arrays : int
        How many of its arguments are arrays: the parameter, its gradient, and state; a new array is made for state that is None and
        shall be something.
    """
    kernels: dict[tuple, _Kernel] = {}

    def run(*args: Any) -> tuple[Array | None, ...]:
        given, numbers = args[:arrays], args[arrays:]
        key = (*[a is None for a in given], *map(bool, numbers))  # what the plain version looks at
        kernel = kernels.get(key)
        if kernel is None:
            kernel = kernels[key] = _Kernel(plain, f"rustorch_{plain.__name__}_{len(kernels)}", given, numbers)
        p, g, *state = given
        return kernel(p, g, state, numbers)

    described = signature(plain)
    run.__name__ = plain.__name__
    run.__signature__ = described.replace(parameters=list(described.parameters.values())[1:])  # type: ignore[attr-defined]
    return run
