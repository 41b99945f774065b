"""One loop from a plain elementwise function: the function is called once on symbols, which record what it does.

So no second version of the function is needed, which could be wrong. A backend writes the recorded lines in its own
language: CUDA for CuPy, and for NumPy the Python that Numba compiles.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, nan
from types import SimpleNamespace
from typing import Any, NamedTuple

from .kernels import KERNELS
from .kernels.elementwise import SMALL_POWERS, small_power

#: What a branch on the elements raises.
_NO_BRANCH = "an elementwise kernel can branch on the numbers it is given, and on nothing computed"


class Number:
    """A number that is known when the loop is called. The host computes it, in double precision."""

    def __init__(self, value: Callable[[Sequence[float]], float], truth: bool | None = None):
        self.value, self.truth = value, truth

    def __bool__(self) -> bool:
        if self.truth is None:
            raise TypeError(_NO_BRANCH)
        return self.truth

    def __neg__(self) -> Number:
        return Number(lambda given: -self.value(given))


def _value(number: Any, given: Sequence[float]) -> float:
    return number.value(given) if isinstance(number, Number) else float(number)


def _combine(function: Callable[[float, float], float], a: Any, b: Any) -> Any:
    if isinstance(a, Symbol) or isinstance(b, Symbol):
        return NotImplemented  # Python then calls the symbol's operator
    return Number(lambda given: function(_value(a, given), _value(b, given)))


class Line(NamedTuple):
    """A variable of the loop: ``name = operation(*values)``."""

    name: str
    operation: str
    values: tuple[Any, ...]
    is_truth: bool


class Symbol:
    """An element of an array: a variable of type T in the loop, or a truth value.

    A number that is combined with it is rounded to T first, as NumPy does with Python's numbers.
    """

    dtype = None

    def __init__(self, loop: Loop, name: str, is_truth: bool = False):
        self.loop, self.name, self.is_truth = loop, name, is_truth

    def __bool__(self) -> bool:
        raise TypeError(_NO_BRANCH)

    def record(self, operation: str, *values: Any) -> Symbol:
        """Append a line to the loop: a new variable with the result of an operation."""
        return self.loop.record(operation, *values)


#: Operators of Python -> operations. Both orders of the operands, where Python has them.
_OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow"}
_COMPARISONS = {"lt": "less", "gt": "greater", "le": "less_equal", "ge": "greater_equal", "eq": "equal",
                "ne": "not_equal"}  # fmt: skip
_LOGICAL = {"and": "logical_and", "or": "logical_or", "xor": "logical_xor"}

for _name, _operation in (_OPERATORS | _COMPARISONS | _LOGICAL).items():
    setattr(Symbol, f"__{_name}__", lambda a, b, operation=_operation: a.record(operation, a, b))
for _name, _operation in (_OPERATORS | _LOGICAL).items():
    setattr(Symbol, f"__r{_name}__", lambda a, b, operation=_operation: a.record(operation, b, a))
for _name, _operation in {"neg": "negative", "abs": "abs", "invert": "logical_not"}.items():
    setattr(Symbol, f"__{_name}__", lambda a, operation=_operation: a.record(operation, a))
setattr(Symbol, "__hash__", object.__hash__)  # noqa: B010 - __eq__, which compares elements, took it away
for _name in _OPERATORS:
    _function = getattr(operator, _name)
    setattr(Number, f"__{_name}__", lambda a, b, function=_function: _combine(function, a, b))
    setattr(Number, f"__r{_name}__", lambda a, b, function=_function: _combine(function, b, a))

#: Operations whose results are truth values.
TRUTHS = frozenset({
    *_COMPARISONS.values(), *_LOGICAL.values(), "logical_not", "isnan", "isinf", "isfinite", "signbit",
})  # fmt: skip
#: Operations on truth values.
_OF_TRUTHS = frozenset({*_LOGICAL.values(), "logical_not"})
#: Operations of one, two and three values besides those of the operators.
_UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor",
    "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "negative", "round", "sign",
    "signbit", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
_BINARY = (
    "add", "atan2", "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less",
    "less_equal", "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply",
    "not_equal", "pow", "remainder", "subtract",
)  # fmt: skip


def _recording(operation: str) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        loop = next(v.loop for v in values if isinstance(v, Symbol))
        return loop.record(operation, *values)

    return function


def _clip(x: Symbol, low: Any = None, high: Any = None) -> Symbol:
    if low is not None:
        x = x.record("maximum", x, low)
    return x if high is None else x.record("minimum", x, high)


class _Functions(SimpleNamespace):
    """A namespace of functions of symbols. A kernel that is missing is its plain version."""

    def __getattr__(self, name: str) -> Any:
        if name not in KERNELS:
            raise AttributeError(name)
        return partial(KERNELS[name], self)


#: The functions of the standard that elementwise kernels use, for real numbers.
FUNCTIONS: Any = _Functions(
    **{name: _recording(name) for name in (*_UNARY, *_BINARY, "where")},
    asarray=lambda x, copy=None: x,
    clip=_clip,
    conj=lambda x: x,
    real=lambda x: x,
    full_like=lambda x, value: x.record("value", value),
    isdtype=lambda dtype, kind: False,
    ones_like=lambda x: x.record("value", 1.0),
    positive=lambda x: x,
    reciprocal=lambda x: x.record("divide", 1.0, x),
    square=lambda x: x.record("multiply", x, x),
    zeros_like=lambda x: x.record("value", 0.0),
    inf=inf,
    nan=nan,
)


class Language(NamedTuple):
    """How a backend writes a loop.

    Attributes
    ----------
    operations : mapping
        Operation -> text with ``{0}``, ``{1}``, ... for its values.
    literal : callable
        The text of a constant number of type T.
    assign, assign_truth : str
        A line, with ``{0}`` for the variable and ``{1}`` for its value.
    """

    operations: Mapping[str, str]
    literal: Callable[[float], str]
    assign: str
    assign_truth: str


class Loop:
    """The body of a loop, traced from a plain elementwise function.

    Parameters
    ----------
    plain : callable
        The plain version. It takes a namespace, arrays and numbers, and returns a tuple.
    names : sequence of (str or None)
        The variables of the arrays' elements. None for an array that is None.
    numbers : sequence of float or bool
        The numbers of a call. The loop serves all calls in which the same numbers are true.
    truths : collection of str
        The variables that are truth values, from arrays of bool.

    Attributes
    ----------
    lines : list of Line
        The body.
    outputs : list of (Symbol or number or None)
        What the function returned.
    constants : list of Number
        The values that the host computes for each call. The body names them c0, c1, ...
    """

    def __init__(
        self,
        plain: Callable[..., Any],
        names: Sequence[str | None],
        numbers: Sequence[Any] = (),
        truths: Sequence[str] = (),
    ):
        self.lines: list[Line] = []
        self.constants: list[Number] = []
        elements = [None if name is None else Symbol(self, name, name in truths) for name in names]
        given = [n if isinstance(n, bool) else Number(operator.itemgetter(i), bool(n)) for i, n in enumerate(numbers)]
        self.outputs = list(plain(FUNCTIONS, *elements, *given))
        for value in [*self.outputs, *[v for line in self.lines for v in line.values]]:
            if isinstance(value, Number) and value not in self.constants:
                self.constants.append(value)

    def record(self, operation: str, *values: Any) -> Symbol:
        """Append a line. A truth value that is computed with counts as 1 or 0, and a number is true unless it is 0."""
        if operation == "pow" and isinstance(values[1], (int, float)) and values[1] in SMALL_POWERS:
            power: Symbol = small_power(FUNCTIONS, values[0], int(values[1]))
            return power
        if operation in _OF_TRUTHS:
            values = tuple([v if _is_truth(v) else self.record("not_equal", v, 0.0) for v in values])
        elif operation == "where":
            values = (values[0] if _is_truth(values[0]) else self.record("not_equal", values[0], 0.0), *values[1:])
            if not all(_is_truth(v) for v in values[1:]):
                values = (values[0], *[self._number(v) for v in values[1:]])
        elif operation != "number":
            values = tuple([self._number(v) for v in values])
        is_truth = operation in TRUTHS or (operation == "where" and all(_is_truth(v) for v in values[1:]))
        line = Line(f"v{len(self.lines)}", operation, values, is_truth)
        self.lines.append(line)
        return Symbol(self, line.name, is_truth)

    def _number(self, value: Any) -> Any:
        return self.record("number", value) if _is_truth(value) else value

    def text(self, value: Any, language: Language) -> str:
        """A value as the body writes it."""
        if isinstance(value, Symbol):
            return value.name
        if isinstance(value, Number):
            return f"c{self.constants.index(value)}"
        return language.literal(float(value))

    def body(self, language: Language) -> list[str]:
        """The lines of the body."""
        out = []
        for name, operation, values, is_truth in self.lines:
            text = language.operations[operation].format(*[self.text(v, language) for v in values])
            out.append((language.assign_truth if is_truth else language.assign).format(name, text))
        return out

    def results(self, language: Language) -> list[str | None]:
        """The results as the body writes them; None for a result that is None."""
        return [None if out is None else self.text(out, language) for out in self.outputs]

    def values(self, numbers: Sequence[Any]) -> list[float]:
        """The constants for the numbers of a call."""
        return [constant.value(numbers) for constant in self.constants]


def _is_truth(value: Any) -> bool:
    return isinstance(value, Symbol) and value.is_truth
