"""Plain code as one CUDA loop: an elementwise kernel's own function is run once on symbols, which write down what is
done to them.

So there is no second version of it that could be wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class Number:
    """A number that is known when the loop is called, or made of such ones: computed on the host, in double
    precision.
    """

    def __init__(self, value: Callable[[Sequence[float]], float], truth: bool | None = None):
        self.value, self.truth = value, truth

    def __bool__(self) -> bool:
        if self.truth is None:
            raise TypeError("an elementwise kernel can decide by its given numbers only")
        return self.truth

    def _made(self, function: Callable, a: Any, b: Any) -> Any:
        if isinstance(a, Symbol) or isinstance(b, Symbol):
            return NotImplemented  # the symbol's own operator follows
        return Number(lambda given: function(_value(a, given), _value(b, given)))

    def __neg__(self) -> Number:
        return Number(lambda given: -self.value(given))

    def __add__(self, other: Any) -> Any:
        return self._made(operator.add, self, other)

    def __sub__(self, other: Any) -> Any:
        return self._made(operator.sub, self, other)

    def __mul__(self, other: Any) -> Any:
        return self._made(operator.mul, self, other)

    def __truediv__(self, other: Any) -> Any:
        return self._made(operator.truediv, self, other)

    def __pow__(self, other: Any) -> Any:
        return self._made(operator.pow, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._made(operator.add, other, self)

    def __rsub__(self, other: Any) -> Any:
        return self._made(operator.sub, other, self)

    def __rmul__(self, other: Any) -> Any:
        return self._made(operator.mul, other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return self._made(operator.truediv, other, self)


def _value(number: Any, given: Sequence[float]) -> float:
    return number.value(given) if isinstance(number, Number) else float(number)


class Symbol:
    """An array's element, a T of CUDA. Numbers are rounded to a T where they meet it, as NumPy does with those of
    Python.
    """

    dtype = None

    def __init__(self, loop: Loop, text: str):
        self.loop, self.text = loop, text

    def made(self, text: str, *values: Any) -> Symbol:
        """What ``text`` says of the values, each in the place of a ``{}``; everything gets a name, so that nothing is
        computed twice.
        """
        name = f"v{len(self.loop.lines)}"
        self.loop.lines.append(f"T {name} = {text.format(*[self.loop.text(v) for v in values])};")
        return Symbol(self.loop, name)

    def __bool__(self) -> bool:
        raise TypeError("an elementwise kernel can decide by its given numbers only")

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

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.made("{} / {}", other, self)

    def __lt__(self, other: Any) -> Symbol:
        return self.made("{} < {}", self, other)

    def __gt__(self, other: Any) -> Symbol:
        return self.made("{} > {}", self, other)

    def __le__(self, other: Any) -> Symbol:
        return self.made("{} <= {}", self, other)


def _maximum(a: Symbol, b: Any) -> Symbol:
    return a.made("{0} > {1} || {0} != {0} ? {0} : {1}", a, b)


def _minimum(a: Symbol, b: Any) -> Symbol:
    return a.made("{0} < {1} || {0} != {0} ? {0} : {1}", a, b)


def _clip(x: Symbol, low: Any, high: Any) -> Symbol:
    x = _maximum(x, low)
    return x if high is None else _minimum(x, high)


#: The functions of the standard that elementwise kernels use. They are for real numbers alone.
_FUNCTIONS = SimpleNamespace(
    abs=lambda x: x.made("fabs({})", x),
    asarray=lambda x, copy: x,
    clip=_clip,
    exp=lambda x: x.made("exp({})", x),
    isdtype=lambda dtype, kind: False,
    maximum=_maximum,
    ones_like=lambda x: x.made("1"),
    round=lambda x: x.made("rint({})", x),
    sign=lambda x: x.made("{0} != {0} ? {0} : (T)(({0} > 0) - ({0} < 0))", x),
    sqrt=lambda x: x.made("sqrt({})", x),
    tanh=lambda x: x.made("tanh({})", x),
    where=lambda condition, a, b: condition.made("{} ? {} : {}", condition, a, b),
    zeros_like=lambda x: x.made("0"),
)


class Loop:
    """What a plain elementwise function does to an element of each array.

    Parameters
    ----------
    plain : callable
        The plain version: of a namespace, arrays and numbers; returns a tuple.
    names : sequence of (str or None)
        What the arrays' elements are called, None for those that are None.
    numbers : sequence of float or bool
        Those of a call: the loop is for calls in which the same ones are true.

    Attributes
    ----------
    lines : list of str
        The loop's body.
    results : list of (str or None)
        What the results are called.
    constants : list of Number
        What is computed on the host; the body calls these c0, c1, ...
    """

    def __init__(self, plain: Callable, names: Sequence[str | None], numbers: Sequence[Any]):
        self.lines: list[str] = []
        self.constants: list[Number] = []
        elements = [None if name is None else Symbol(self, name) for name in names]
        given = [n if isinstance(n, bool) else Number(operator.itemgetter(i), bool(n)) for i, n in enumerate(numbers)]
        self.results = [None if out is None else self.text(out) for out in plain(_FUNCTIONS, *elements, *given)]

    def text(self, value: Any) -> str:
        """How the body writes a value."""
        if isinstance(value, Symbol):
            return value.text
        if not isinstance(value, Number):
            return f"(T){float(value)!r}"
        if value not in self.constants:
            self.constants.append(value)
        return f"c{self.constants.index(value)}"

    def values(self, numbers: Sequence[Any]) -> list[float]:
        """The constants of a call."""
        return [constant.value(numbers) for constant in self.constants]
