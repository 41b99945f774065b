"""One loop from a plain elementwise function: the function is called once on symbols, which record what it does.

So no second version of the function is needed, which could be wrong. A backend writes the recorded lines in its own
language: CUDA for CuPy, and for NumPy the Python that Numba compiles.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, nan
from math import log as _ln
from types import SimpleNamespace
from typing import Any, NamedTuple

from .dtypes import bool as BOOL
from .kernels import KERNELS
from .kernels.elementwise import SMALL_POWERS, small_power
from .symbols import COMPARISONS, LOGICAL, Number, Refused, Symbol, Unfit


class Line(NamedTuple):
    """A variable of the loop: ``name = operation(*values)``."""

    name: str
    operation: str
    values: tuple[Any, ...]
    is_truth: bool


#: Operations whose results are truth values.
TRUTHS = frozenset({
    *COMPARISONS.values(), *LOGICAL.values(), "logical_not", "isnan", "isinf", "isfinite", "signbit",
})  # fmt: skip
#: Operations on truth values.
_OF_TRUTHS = frozenset({*LOGICAL.values(), "logical_not"})
#: Operations that take truth values as they are, or as the numbers 1 and 0.
_TAKE_TRUTHS = (TRUTHS - {"signbit"}) | {"number", "value", "where"}
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


def _bitwise(operation: str) -> Callable[..., Any]:
    def function(*values: Any) -> Any:
        if not all(_is_truth(v) or isinstance(v, bool) for v in values):
            raise Refused("bits are those of integers, and a loop computes with real numbers")
        return next(v.loop for v in values if isinstance(v, Symbol)).record(operation, *values)

    return function


def _astype(x: Symbol, dtype: Any, copy: bool = True) -> Symbol:
    if dtype is None or dtype == x.dtype:
        return x
    if dtype == BOOL:
        return x.record("not_equal", x, 0.0)
    if dtype.kind not in "fV":
        raise Refused(f"it converts to {dtype}, and a loop computes with real numbers")
    if dtype != x.loop.dtype:
        raise Unfit(f"it converts to {dtype}, beside arrays of {x.loop.dtype}")
    return x.record("number", x)


def _both(x1: Any, x2: Any) -> tuple[Symbol, Symbol]:
    """Two values, of which one is a symbol, as symbols."""
    if not isinstance(x1, Symbol):
        return x2.like(x1), x2
    return x1, x2 if isinstance(x2, Symbol) else x1.like(x2)


def _remainder(x1: Any, x2: Any) -> Any:
    """As NumPy's: the sign of x2, and nan for a divisor of 0."""
    xp = FUNCTIONS
    x1, x2 = _both(x1, x2)
    rest = xp.fmod(x1, x2)
    moved = xp.where(xp.not_equal(xp.less(x2, 0.0), xp.less(rest, 0.0)), xp.add(rest, x2), rest)
    return xp.where(xp.equal(rest, 0.0), xp.copysign(0.0, x2), moved)


def _floor_divide(x1: Any, x2: Any) -> Any:
    """As NumPy's: from the remainder, so that 1 // 0.1 is 9."""
    xp = FUNCTIONS
    x1, x2 = _both(x1, x2)
    rest = xp.fmod(x1, x2)
    whole = xp.divide(xp.subtract(x1, rest), x2)
    moved = xp.logical_and(xp.not_equal(rest, 0.0), xp.not_equal(xp.less(x2, 0.0), xp.less(rest, 0.0)))
    whole = xp.where(moved, xp.subtract(whole, 1.0), whole)
    down = xp.floor(whole)
    down = xp.where(xp.greater(xp.subtract(whole, down), 0.5), xp.add(down, 1.0), down)
    quotient = xp.divide(x1, x2)
    return xp.where(xp.equal(x2, 0.0), quotient, xp.where(xp.equal(whole, 0.0), xp.copysign(0.0, quotient), down))


for _name, _function in {"floordiv": _floor_divide, "mod": _remainder}.items():
    setattr(Symbol, f"__{_name}__", lambda a, b, function=_function: function(a, b))
    setattr(Symbol, f"__r{_name}__", lambda a, b, function=_function: function(b, a))


def _logaddexp(x1: Any, x2: Any) -> Any:
    """As NumPy's, also for equal infinities."""
    xp = FUNCTIONS
    x1, x2 = _both(x1, x2)
    far = xp.log1p(xp.exp(xp.negative(xp.abs(xp.subtract(x1, x2)))))
    return xp.add(xp.maximum(x1, x2), xp.where(xp.equal(x1, x2), _ln(2), far))


def _clip(x: Symbol, min: Any = None, max: Any = None) -> Symbol:
    if min is not None:
        x = x.record("at_least" if _is_known(min) else "maximum", x, min)
    return x if max is None else x.record("at_most" if _is_known(max) else "minimum", x, max)


def _is_known(bound: Any) -> bool:
    """Whether this is a number that is known now, and not nan, so that one comparison is enough."""
    return type(bound) in (int, float) and bound == bound


class _Functions(SimpleNamespace):
    """A namespace of functions of symbols. A kernel that is missing is its plain version."""

    def __getattr__(self, name: str) -> Any:
        if name not in KERNELS:
            raise AttributeError(name)
        return partial(KERNELS[name], self)


#: The elementwise functions of the standard, for real numbers.
FUNCTIONS: Any = _Functions(
    **{name: _recording(name) for name in (*_UNARY, *_BINARY, "fmod", "where")}
    | {f"bitwise_{name}": _bitwise(f"logical_{name}") for name in LOGICAL}
    | {"floor_divide": _floor_divide, "logaddexp": _logaddexp, "remainder": _remainder},
    astype=_astype,
    bitwise_invert=_bitwise("logical_not"),
    asarray=lambda x, copy=None: x,
    clip=_clip,
    conj=lambda x: x,
    exp_of_sum=_recording("exp_of_sum"),
    real=lambda x: x,
    full_like=lambda x, value: x.like(value),
    gelu_tail=_recording("gelu_tail"),
    isdtype=lambda dtype, kind: False,
    ones_like=lambda x: x.like(1.0),
    positive=lambda x: x,
    reciprocal=lambda x: x.record("divide", 1.0, x),
    square=lambda x: x.record("multiply", x, x),
    zeros_like=lambda x: x.like(0.0),
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
    dtype : dtype or None
        The dtype of the arrays, if the function was told one. It must not ask for one otherwise.
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
        self.dtype: Any = None
        self._known: dict[Any, Symbol] = {}
        elements = [None if name is None else Symbol(self, name, name in truths, frozenset({name})) for name in names]
        given = [n if isinstance(n, bool) else Number(operator.itemgetter(i), bool(n)) for i, n in enumerate(numbers)]
        self.outputs = list(plain(FUNCTIONS, *elements, *given))
        self._known.clear()
        self.lines = _needed(self.lines, self.outputs)
        for value in [*self.outputs, *[v for line in self.lines for v in line.values]]:
            if isinstance(value, Number) and all(value is not constant for constant in self.constants):
                self.constants.append(value)

    def record(self, operation: str, *values: Any, sources: frozenset[str] = frozenset()) -> Symbol:
        """Append a line, unless there is the same one already.

        A truth value that is computed with counts as 1 or 0, and a number is true unless it is 0.
        """
        symbols = [v for v in values if isinstance(v, Symbol)]
        if self.dtype is not None and symbols and operation not in _TAKE_TRUTHS and all(map(_is_truth, symbols)):
            raise Refused("arithmetic with booleans; convert them, as in rustorch.astype(x > 0, x.dtype)")
        if operation == "pow" and isinstance(values[1], (int, float)) and values[1] in SMALL_POWERS:
            power: Symbol = small_power(FUNCTIONS, values[0], int(values[1]))
            return power
        if operation in _OF_TRUTHS:
            values = tuple([v if _is_truth(v) else self.record("not_equal", v, 0.0) for v in values])
        elif operation == "where":
            if any(map(_is_truth, values[1:])):
                values = tuple([self.record("not_equal", float(v), 0.0) if isinstance(v, bool) else v for v in values])
            values = (values[0] if _is_truth(values[0]) else self.record("not_equal", values[0], 0.0), *values[1:])
            if not all(_is_truth(v) for v in values[1:]):
                values = (values[0], *[self._number(v) for v in values[1:]])
        elif operation != "number":
            values = tuple([self._number(v) for v in values])
        is_truth = operation in TRUTHS or (operation == "where" and all(_is_truth(v) for v in values[1:]))
        sources = sources.union(*[v.sources for v in symbols])
        key = (operation, sources, *[_identity(v) for v in values])
        found = self._known.get(key)
        if found is None:
            line = Line(f"v{len(self.lines)}", operation, values, is_truth)
            self.lines.append(line)
            found = self._known[key] = Symbol(self, line.name, is_truth, sources)
        return found

    def _number(self, value: Any) -> Any:
        return self.record("number", value) if _is_truth(value) else value

    def text(self, value: Any, language: Language) -> str:
        """A value as the body writes it."""
        if isinstance(value, Symbol):
            return value.name
        if isinstance(value, Number):
            return f"c{next(i for i, constant in enumerate(self.constants) if constant is value)}"
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


def _identity(value: Any) -> Any:
    """What two lines have in common that do the same with a value."""
    if isinstance(value, Symbol):
        return value.name
    return id(value) if isinstance(value, Number) else repr(float(value))


def _needed(lines: Sequence[Line], outputs: Sequence[Any]) -> list[Line]:
    """The lines that lead to the outputs."""
    wanted = {out.name for out in outputs if isinstance(out, Symbol)}
    kept = []
    for line in reversed(lines):
        if line.name in wanted:
            kept.append(line)
            wanted.update([v.name for v in line.values if isinstance(v, Symbol)])
    return kept[::-1]
