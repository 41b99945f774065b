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


def _standard(name: str, least: int) -> Fused:
    """The function of this name, as a loop."""
    if name in ("add", "divide", "logaddexp", "maximum", "minimum", "multiply", "subtract"):

        def two(xp: Any, x1: Any, x2: Any) -> Any:
            return getattr(xp, name)(x1, x2)

        function: Callable[..., Any] = two
    else:

        def one(xp: Any, x: Any) -> Any:
            return getattr(xp, name)(x)

        function = one
    function.__name__ = name
    return Fused(function, least)


OVERRIDES: dict[str, Callable[..., Any]] = {
    **{name: _standard(name, _LEAST) for name in _QUICK},
    **{name: _standard(name, _LEAST_SLOW) for name in _SLOW},
}
