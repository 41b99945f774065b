"""Elementwise functions of the standard for large arrays, shared between the threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .availability import always
from .fusing import Fused

#: Elements from which a compiled loop in several threads is faster than NumPy's: for functions of one pass over memory,
#: and for those that compute longer.
_LEAST, _LEAST_SLOW = (0, 0) if always() else (1 << 16, 1 << 13)

_QUICK = (
    "abs",
    "add",
    "divide",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "reciprocal",
    "square",
    "sqrt",
    "subtract",
)
_SLOW = ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p",
         "log2", "logaddexp", "sin", "sinh", "tan", "tanh")  # fmt: skip


#: Functions that NumPy computes with branches, or one element after the other. Measured with one thread, float32, in
#: microseconds, for 16,384 and 1,048,576 elements: sign 6 against 7 and 110 against 454, copysign 7 against 9 and 210
#: against 796, where with a random condition 14 against 20 and 290 against 4,216, hypot 14 against 63 and 600 against
#: 6,700, remainder 116 against 153 and 7,200 against 26,800.
_LEAST_CHOICE = 0 if always() else 1 << 14
_CHOICES = ("copysign", "floor_divide", "hypot", "remainder", "sign", "where")
#: Functions for which one thread takes 1.1 times as long as NumPy, limited by memory, so that only several gain. atan2
#: and pow are not here: they take 1.1 and 2.5 times as long, limited by the processor.
_LEAST_EQUAL = 0 if always() else 1 << 19
_EQUAL = ("ceil", "clip", "floor", "round", "trunc")

_TWO = frozenset({
    "add", "copysign", "divide", "floor_divide", "hypot", "logaddexp", "maximum", "minimum", "multiply", "remainder",
    "subtract",
})  # fmt: skip


def _standard(name: str, least: int) -> Fused:
    """The function of this name, as a loop."""

    def one(xp: Any, x: Any) -> Any:
        return getattr(xp, name)(x)

    def two(xp: Any, x1: Any, x2: Any) -> Any:
        return getattr(xp, name)(x1, x2)

    def three(xp: Any, x1: Any, x2: Any, x3: Any) -> Any:
        return getattr(xp, name)(x1, x2, x3)

    function: Callable[..., Any] = two if name in _TWO else three if name in ("clip", "where") else one
    function.__name__ = name
    return Fused(function, least)


OVERRIDES: dict[str, Callable[..., Any]] = {
    name: _standard(name, least)
    for names, least in ((_QUICK, _LEAST), (_SLOW, _LEAST_SLOW), (_CHOICES, _LEAST_CHOICE), (_EQUAL, _LEAST_EQUAL))
    for name in names
}
