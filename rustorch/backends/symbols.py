"""What a plain function is traced with: symbols that stand for elements of arrays, and numbers of a call."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .dtypes import bool as BOOL

if TYPE_CHECKING:
    from .fusing import Loop

_PACKAGE = str(Path(__file__).parents[1])
_VARIABLE = str(Path(__file__).parents[1] / "variable.py")
#: What a branch on the elements raises.
_NO_BRANCH = "an elementwise kernel can branch on the numbers it is given, and on nothing computed"


class Refused(TypeError):
    """What a function does is no operation on single elements."""

    _explained = True  # the functions that the error passes through leave its text as it is


class Unfit(Exception):
    """Why a function that is elementwise is no loop all the same."""

    _explained = True


class Number:
    """A number that is known when the loop is called. The host computes it, in double precision."""

    def __init__(self, value: Callable[[Sequence[float]], float], truth: bool | None = None):
        self.value, self.truth = value, truth

    def __bool__(self) -> bool:
        if self.truth is None:
            raise Refused(_NO_BRANCH)
        return self.truth

    def __neg__(self) -> Number:
        return Number(lambda given: -self.value(given))

    def __pos__(self) -> Number:
        return self

    def __abs__(self) -> Number:
        return Number(lambda given: abs(self.value(given)))


def _value(number: Any, given: Sequence[float]) -> float:
    return number.value(given) if isinstance(number, Number) else number


def _combine(function: Callable[[float, float], float], a: Any, b: Any) -> Any:
    if not all(isinstance(n, (Number, int, float)) for n in (a, b)):
        return NotImplemented  # Python then calls the operator of a symbol, or of what holds one
    return Number(lambda given: function(_value(a, given), _value(b, given)))


def _for_the_library(frame: Any) -> None:
    """Refuse what a program asks, also through an attribute of a Variable."""
    while frame.f_code.co_filename == _VARIABLE:
        frame = frame.f_back
    if not frame.f_code.co_filename.startswith(_PACKAGE):
        raise Refused("a loop is made once for all shapes, so it can ask for none")


class Symbol:
    """An element of an array: a variable of type T in the loop, or a truth value.

    A number that is combined with it is rounded to T first, as NumPy does with Python's numbers.

    Attributes
    ----------
    sources : frozenset of str
        The variables of the arrays that decide the shape which it has an element of.
    """

    def __init__(self, loop: Loop, name: str, is_truth: bool = False, sources: frozenset[str] = frozenset()):
        self.loop, self.name, self.is_truth, self.sources = loop, name, is_truth, sources

    @property
    def dtype(self) -> Any:
        """The dtype of the array; None in a loop that serves several."""
        return BOOL if self.is_truth and self.loop.dtype is not None else self.loop.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Without dimensions, for the library. A program that asks gets no answer: the loop serves all shapes."""
        _for_the_library(sys._getframe(1))
        return ()

    @property
    def ndim(self) -> int:
        """0, for the library."""
        _for_the_library(sys._getframe(1))
        return 0

    def __bool__(self) -> bool:
        raise Refused(_NO_BRANCH)

    def record(self, operation: str, *values: Any) -> Symbol:
        """Append a line to the loop: a new variable with the result of an operation."""
        return self.loop.record(operation, *values)

    def like(self, value: Any) -> Symbol:
        """An element of an array of the same shape that holds one number."""
        return self.loop.record("value", value, sources=self.sources)


#: Operators of Python -> operations. Both orders of the operands, where Python has them.
OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow"}
COMPARISONS = {"lt": "less", "gt": "greater", "le": "less_equal", "ge": "greater_equal", "eq": "equal",
                "ne": "not_equal"}  # fmt: skip
LOGICAL = {"and": "logical_and", "or": "logical_or", "xor": "logical_xor"}

for _name, _operation in (OPERATORS | COMPARISONS | LOGICAL).items():
    setattr(Symbol, f"__{_name}__", lambda a, b, operation=_operation: a.record(operation, a, b))
for _name, _operation in (OPERATORS | LOGICAL).items():
    setattr(Symbol, f"__r{_name}__", lambda a, b, operation=_operation: a.record(operation, b, a))
for _name, _operation in {"neg": "negative", "abs": "abs", "invert": "logical_not"}.items():
    setattr(Symbol, f"__{_name}__", lambda a, operation=_operation: a.record(operation, a))
setattr(Symbol, "__hash__", object.__hash__)  # noqa: B010 - __eq__, which compares elements, took it away
for _name in (*OPERATORS, "floordiv", "mod"):
    _function = getattr(operator, _name)
    setattr(Number, f"__{_name}__", lambda a, b, function=_function: _combine(function, a, b))
    setattr(Number, f"__r{_name}__", lambda a, b, function=_function: _combine(function, b, a))


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any) -> Any:
        raise Refused(what)

    return refuse


for _name in COMPARISONS:
    setattr(Number, f"__{_name}__", _refuse(_NO_BRANCH))
for _name in ("float", "int", "index", "complex", "round", "floor", "ceil", "trunc"):
    setattr(Number, f"__{_name}__", _refuse("a loop is made once for all values of a number"))
    setattr(Symbol, f"__{_name}__", _refuse(_NO_BRANCH))
for _name in ("getitem", "len", "iter"):
    setattr(Symbol, f"__{_name}__", _refuse("an elementwise kernel takes no part of an array"))
setattr(Number, "__hash__", object.__hash__)  # noqa: B010 - __eq__ took it away
