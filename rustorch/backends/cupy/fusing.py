"""How a fused loop is written in CUDA."""

from __future__ import annotations

from math import isinf, isnan

from ..fusing import Language

_FUNCTIONS = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh", "erf", "exp",
    "expm1", "floor", "fmod", "hypot", "isinf", "isnan", "isfinite", "log", "log10", "log1p", "log2", "pow", "signbit",
    "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
)  # fmt: skip
_TWO = frozenset({"atan2", "copysign", "fmod", "hypot", "pow"})
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "greater": ">", "less_equal": "<=",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "logical_and": "&&", "logical_or": "||",
    "logical_xor": "!=",
}  # fmt: skip


def _literal(value: float) -> str:
    if isnan(value):
        return "(T)(0.0 / 0.0)"
    if isinf(value):
        return "(T)(1.0 / 0.0)" if value > 0 else "(T)(-1.0 / 0.0)"
    return f"(T){value!r}"


CUDA = Language(
    operations={
        **{name: f"{name}({{0}}, {{1}})" if name in _TWO else f"{name}({{0}})" for name in _FUNCTIONS},
        **{name: f"{{0}} {sign} {{1}}" for name, sign in _SIGNS.items()},
        "abs": "fabs({0})",
        "negative": "-{0}",
        "logical_not": "!{0}",
        "round": "rint({0})",
        "value": "{0}",
        "number": "(T){0}",
        "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
        "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
        "sign": "{0} != {0} ? {0} : (T)(({0} > 0) - ({0} < 0))",
        "where": "{0} ? {1} : {2}",
    },
    literal=_literal,
    assign="T {0} = {1};",
    assign_truth="bool {0} = {1};",
)
