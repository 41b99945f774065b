"""Elementary functions for loops that Numba compiles, such as exp, log, tanh, erf and pow, for float32 and float64.

A call appends instructions of LLVM to the loop, without a branch and without a call, so that LLVM can make the loop one
of vectors. NumPy's and the C library's functions would keep it scalar. The error is at most 2 units in the last place
for all numbers, and special values are those of C99. Integers are computed as float64. The formulas are in
`exponentials`, `logarithms`, `trigonometry` and `powers`; each names its sources.

This module imports Numba, so it is imported only when a loop is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..kernels.activation import GELU_SHORT_TAIL, GELU_TAIL
from . import exponentials, logarithms, powers, trigonometry
from .scalar import Scalar, polynomial
from .scalar import where as select
from .vectors import widen


def _common(arguments: tuple[Any, ...]) -> Any:
    """The dtype of a result: float32 if all arguments but literal integers have it, and float64 otherwise."""
    kinds = {types.unliteral(a) for a in arguments if not isinstance(a, types.Literal)}
    if not all(isinstance(a, (types.Float, types.Integer, types.Boolean)) for a in arguments):
        return None
    return types.float32 if kinds == {types.float32} else types.float64


def _function(
    name: str, formula: Callable[..., Scalar], arity: int = 1, condition: bool = False, light: bool = False
) -> Any:
    """What a compiled loop may call: the formula for its arguments, converted to their common dtype. A ``light``
    function takes few instructions. A loop with any other function uses wide vectors.
    """

    def unary(typing_context: Any, x: Any) -> Any:
        return finish(x)

    def binary(typing_context: Any, x1: Any, x2: Any) -> Any:
        return finish(x1, x2)

    def finish(*arguments: Any) -> Any:
        dtype = _common(arguments)
        if dtype is None:
            return None

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            if not light:
                widen(builder)
            return formula(*(Scalar(builder, value) for value in values)).value

        return (types.boolean if condition else dtype)(*(dtype for _ in arguments)), generate

    function = unary if arity == 1 else binary
    function.__name__ = function.__qualname__ = name
    function.__doc__ = formula.__doc__
    return intrinsic(prefer_literal=True)(function)


def _of_llvm(name: str) -> Callable[..., Scalar]:
    """A function that is one instruction on most processors."""

    def formula(x: Scalar, *others: Scalar) -> Scalar:
        return x.call(name, *others)

    formula.__doc__ = f"LLVM's ``{name}``."
    return formula


def _sign(x: Scalar) -> Scalar:
    """-1, 0 or 1, as NumPy's sign; nan stays nan."""
    return select(x > 0.0, x.like(1.0), select(x < 0.0, x.like(-1.0), x + 0.0))


def _maximum(x1: Scalar, x2: Scalar) -> Scalar:
    """The larger number, or nan if one of them is nan."""
    return select(x1.is_nan() | (x1 > x2), x1, x2)


def _minimum(x1: Scalar, x2: Scalar) -> Scalar:
    """The smaller number, or nan if one of them is nan."""
    return select(x1.is_nan() | (x1 < x2), x1, x2)


def _fmod(x1: Scalar, x2: Scalar) -> Scalar:
    """``x1 - trunc(x1 / x2) * x2`` without rounding. It calls the C library, so LLVM cannot make a loop with it one of
    vectors.
    """
    return Scalar(x1.builder, x1.builder.frem(x1.value, x2.value))


def _remainder(x1: Scalar, x2: Scalar) -> Scalar:
    """``x1 - floor(x1 / x2) * x2`` without rounding, as NumPy's remainder. It is as slow as `_fmod`."""
    rest = _fmod(x1, x2)
    moved = select((rest < 0.0).equals(x2 < 0.0), rest, rest + x2)
    return select(rest.equals(0.0), rest.call("copysign", x2), moved)


def _logaddexp(x1: Scalar, x2: Scalar) -> Scalar:
    """``log(exp(x1) + exp(x2))``."""
    distance = select(x1.equals(x2), x1.like(0.0), (x1 - x2).call("fabs"))
    return _maximum(x1, x2) + logarithms.log1p(exponentials.exp(-distance))


def _isinf(x: Scalar) -> Scalar:
    """Whether a number is infinite."""
    return x.call("fabs").equals(inf)


def _isfinite(x: Scalar) -> Scalar:
    """Whether a number is neither infinite nor nan."""
    return x.call("fabs") < inf


def _signbit(x: Scalar) -> Scalar:
    """Whether the sign is negative, also that of 0."""
    return x.bits() < 0


exp = _function("exp", exponentials.exp)
exp_of_sum = _function("exp_of_sum", exponentials.exp_of_sum, 2)
expm1 = _function("expm1", exponentials.expm1)
sinh = _function("sinh", exponentials.sinh)
cosh = _function("cosh", exponentials.cosh)
tanh = _function("tanh", exponentials.tanh)
erf = _function("erf", exponentials.erf)
gelu_tail = _function("gelu_tail", lambda x: polynomial(x, x.pick(GELU_SHORT_TAIL, GELU_TAIL)))
log = _function("log", logarithms.log)
log1p = _function("log1p", logarithms.log1p)
log2 = _function("log2", logarithms.log2)
log10 = _function("log10", logarithms.log10)
asinh = _function("asinh", logarithms.asinh)
acosh = _function("acosh", logarithms.acosh)
atanh = _function("atanh", logarithms.atanh)
sin = _function("sin", trigonometry.sin)
cos = _function("cos", trigonometry.cos)
tan = _function("tan", trigonometry.tan)
asin = _function("asin", trigonometry.asin)
acos = _function("acos", trigonometry.acos)
atan = _function("atan", trigonometry.atan)
atan2 = _function("atan2", trigonometry.atan2, 2)
pow = _function("pow", powers.pow, 2)
hypot = _function("hypot", powers.hypot, 2)
logaddexp = _function("logaddexp", _logaddexp, 2)
fmod = _function("fmod", _fmod, 2, light=True)
remainder = _function("remainder", _remainder, 2, light=True)

sqrt = _function("sqrt", _of_llvm("sqrt"), light=True)
abs = _function("abs", _of_llvm("fabs"), light=True)
floor = _function("floor", _of_llvm("floor"), light=True)
ceil = _function("ceil", _of_llvm("ceil"), light=True)
rint = _function("rint", _of_llvm("rint"), light=True)
trunc = _function("trunc", _of_llvm("trunc"), light=True)
copysign = _function("copysign", _of_llvm("copysign"), 2, light=True)
sign = _function("sign", _sign, light=True)
maximum = _function("maximum", _maximum, 2, light=True)
minimum = _function("minimum", _minimum, 2, light=True)
isnan = _function("isnan", Scalar.is_nan, condition=True, light=True)
isinf = _function("isinf", _isinf, condition=True, light=True)
isfinite = _function("isfinite", _isfinite, condition=True, light=True)
signbit = _function("signbit", _signbit, condition=True, light=True)


@intrinsic(prefer_literal=True)
def where(typing_context: Any, condition: Any, x1: Any, x2: Any) -> Any:
    """``x1`` where the condition holds, and ``x2`` elsewhere. Both are computed, and LLVM selects one."""
    dtype = _common((x1, x2))
    if dtype is None or not isinstance(condition, (types.Boolean, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        test = context.cast(builder, values[0], signature.args[0], types.boolean)
        assert test.type == ir.IntType(1)
        return builder.select(test, values[1], values[2])

    return dtype(types.unliteral(condition), dtype, dtype), generate
