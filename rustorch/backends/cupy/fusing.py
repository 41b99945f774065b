"""Elementwise plain functions as CUDA code: a function is called once on symbols, which record what it does.

So no second version of the function is needed, which could be wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class Number:
    """A number that is known when the loop is called. The host computes it, in double precision."""

    def __init__(self, value: Callable[[Sequence[float]], float], truth: bool | None = None):
        self.value, self.truth = value, truth

    def __bool__(self) -> bool:
        if self.truth is None:
            raise TypeError("an elementwise kernel can branch on the numbers it is given, and on nothing computed")
        return self.truth

    def _combined(self, function: Callable[[float, float], float], a: Any, b: Any) -> Any:
        if isinstance(a, Symbol) or isinstance(b, Symbol):
            return NotImplemented  # Python then calls the symbol's operator
        return Number(lambda given: function(_value(a, given), _value(b, given)))

    def __neg__(self) -> Number:
        return Number(lambda given: -self.value(given))

    def __add__(self, other: Any) -> Any:
        return self._combined(operator.add, self, other)

    def __sub__(self, other: Any) -> Any:
        return self._combined(operator.sub, self, other)

    def __mul__(self, other: Any) -> Any:
        return self._combined(operator.mul, self, other)

    def __truediv__(self, other: Any) -> Any:
        return self._combined(operator.truediv, self, other)

    def __pow__(self, other: Any) -> Any:
        return self._combined(operator.pow, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._combined(operator.add, other, self)

    def __rsub__(self, other: Any) -> Any:
        return self._combined(operator.sub, other, self)

    def __rmul__(self, other: Any) -> Any:
        return self._combined(operator.mul, other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combined(operator.truediv, other, self)


def _value(number: Any, given: Sequence[float]) -> float:
    return number.value(given) if isinstance(number, Number) else float(number)


class Symbol:
    """An element of an array: a variable of type T in the loop.

    A number that is combined with it is rounded to T first, as NumPy does with Python's numbers.
    """

    dtype = None

    def __init__(self, loop: Loop, text: str):
        self.loop, self.text = loop, text

    def record(self, text: str, *values: Any) -> Symbol:
        """Append a line to the loop: a new variable with the value of ``text``. Each ``{}`` stands for a value."""
        name = f"v{len(self.loop.lines)}"
        self.loop.lines.append(f"T {name} = {text.format(*[self.loop.text(v) for v in values])};")
        return Symbol(self.loop, name)

    def __bool__(self) -> bool:
        raise TypeError("an elementwise kernel can branch on the numbers it is given, and on nothing computed")

    def __neg__(self) -> Symbol:
        return self.record("-{}", self)

    def __add__(self, other: Any) -> Symbol:
        return self.record("{} + {}", self, other)

    def __sub__(self, other: Any) -> Symbol:
        return self.record("{} - {}", self, other)

    def __mul__(self, other: Any) -> Symbol:
        return self.record("{} * {}", self, other)

    def __truediv__(self, other: Any) -> Symbol:
        return self.record("{} / {}", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.record("{} + {}", other, self)

    def __rsub__(self, other: Any) -> Symbol:
        return self.record("{} - {}", other, self)

    def __rmul__(self, other: Any) -> Symbol:
        return self.record("{} * {}", other, self)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.record("{} / {}", other, self)

    def __lt__(self, other: Any) -> Symbol:
        return self.record("{} < {}", self, other)

    def __gt__(self, other: Any) -> Symbol:
        return self.record("{} > {}", self, other)

    def __le__(self, other: Any) -> Symbol:
        return self.record("{} <= {}", self, other)


def _maximum(a: Symbol, b: Any) -> Symbol:
    return a.record("{0} > {1} || {0} != {0} ? {0} : {1}", a, b)


def _minimum(a: Symbol, b: Any) -> Symbol:
    return a.record("{0} < {1} || {0} != {0} ? {0} : {1}", a, b)


def _clip(x: Symbol, low: Any, high: Any) -> Symbol:
    x = _maximum(x, low)
    return x if high is None else _minimum(x, high)


#: The functions of the standard that elementwise kernels use, for real numbers.
_FUNCTIONS = SimpleNamespace(
    abs=lambda x: x.record("fabs({})", x),
    asarray=lambda x, copy: x,
    clip=_clip,
    exp=lambda x: x.record("exp({})", x),
    isdtype=lambda dtype, kind: False,
    maximum=_maximum,
    ones_like=lambda x: x.record("1"),
    round=lambda x: x.record("rint({})", x),
    sign=lambda x: x.record("{0} != {0} ? {0} : (T)(({0} > 0) - ({0} < 0))", x),
    sqrt=lambda x: x.record("sqrt({})", x),
    tanh=lambda x: x.record("tanh({})", x),
    where=lambda condition, a, b: condition.record("{} ? {} : {}", condition, a, b),
    zeros_like=lambda x: x.record("0"),
)


class Loop:
    """The body of a CUDA loop, traced from a plain elementwise function.

    Parameters
    ----------
    plain : callable
        The plain version. It takes a namespace, arrays and numbers, and returns a tuple.
    names : sequence of (str or None)
        The variables of the arrays' elements. None for an array that is None.
    numbers : sequence of float or bool
        The numbers of a call. The loop serves all calls in which the same numbers are true.

    Attributes
    ----------
    lines : list of str
        The body.
    results : list of (str or None)
        The variables of the results.
    constants : list of Number
        The values that the host computes for each call. The body names them c0, c1, ...
    """

    def __init__(self, plain: Callable[..., Any], names: Sequence[str | None], numbers: Sequence[Any]):
        self.lines: list[str] = []
        self.constants: list[Number] = []
        elements = [None if name is None else Symbol(self, name) for name in names]
        given = [n if isinstance(n, bool) else Number(operator.itemgetter(i), bool(n)) for i, n in enumerate(numbers)]
        self.results = [None if out is None else self.text(out) for out in plain(_FUNCTIONS, *elements, *given)]

    def text(self, value: Any) -> str:
        """A value as the body writes it."""
        if isinstance(value, Symbol):
            return value.text
        if not isinstance(value, Number):
            return f"(T){float(value)!r}"
        if value not in self.constants:
            self.constants.append(value)
        return f"c{self.constants.index(value)}"

    def values(self, numbers: Sequence[Any]) -> list[float]:
        """The constants for the numbers of a call."""
        return [constant.value(numbers) for constant in self.constants]
