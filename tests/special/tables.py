"""Elementwise functions and activations with their formulas. Points at which a formula does not hold are beside it."""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, inf, isinf, log, nan
from typing import Any

import mpmath
from mpmath import mp, mpf

import rustorch
from rustorch.nn import functional as F
from tests.special.precise import Formula, Function

#: exp(_FAR) is infinite in float64, and exp(-_FAR) is 0.
_FAR = 2000


def exp(x: Any) -> Any:
    """The exponential. Far out mpmath needs seconds: another function takes its place, beyond float64, too."""
    return mpf(0) if x < -_FAR else mpf(2) ** 10_000 * x**4 if x > _FAR else mp.exp(x)


def constant(value: Any) -> Any:
    """A constant with enough digits, computed once."""
    with mpmath.workprec(300):
        return value()


_LOG2, _LOG10 = constant(lambda: mp.log(2)), constant(lambda: mp.log(10))


def _oscillates(*x: float) -> Any:
    """At infinity there is no limit, and NumPy's value is nan."""
    return (nan, None, None) if isinf(x[0]) else ...


def _pole(value: Callable[[float], tuple]) -> Callable[..., Any]:
    """At 0 and -0 there are two different limits."""
    return lambda x: value(x) if x == 0 else ...


def _negative_zero(x: float) -> Any:
    """The derivative 1 / -0. is -inf, as in PyTorch, which is not the limit from inside the domain."""
    return None if x == 0 and copysign(1, x) < 0 else ...


def _at(*cases: tuple[float, Any]) -> Callable[..., Any]:
    table = dict(cases)
    return lambda x: table.get(x, ...)


def _unary(
    name: str, formula: Formula | None = None, kinks: Callable[..., Any] = lambda x: ..., **more: Any
) -> Function:
    return Function(name, getattr(rustorch, name), formula or getattr(mp, name), kinks=kinks, **more)


def _step(name: str) -> Function:
    """A function that is constant between jumps. Its derivatives are 0 everywhere, at the jumps, too."""
    return Function(name, getattr(rustorch, name), lambda x: x, kinks=lambda x: (None, 0.0, 0.0), linear=True)


UNARY = [
    _unary("abs", mp.fabs, _at((0.0, (0.0, 0.0, 0.0)))),  # PyTorch's convention at the kink
    _unary("acos"),
    _unary("acosh"),
    _unary("asin"),
    _unary("asinh"),
    _unary("atan"),
    _unary("atanh"),
    _unary("cos", kinks=_oscillates),
    _unary("cosh", lambda x: (exp(x) + exp(-x)) / 2),
    _unary("exp", exp),
    _unary("expm1", lambda x: exp(x) - 1),
    _unary("log", kinks=_negative_zero),
    _unary("log10", lambda x: mp.log(x) / _LOG10, _negative_zero),
    _unary("log1p", lambda x: mp.log(1 + x)),
    _unary("log2", lambda x: mp.log(x) / _LOG2, _negative_zero),
    _unary("negative", lambda x: -x, linear=True),
    _unary("positive", lambda x: x, linear=True),
    _unary("reciprocal", lambda x: 1 / x, _pole(lambda x: (copysign(inf, x), -inf, copysign(inf, x)))),
    _unary("sin", kinks=_oscillates),
    _unary("sinh", lambda x: (exp(x) - exp(-x)) / 2),
    _unary("sqrt", kinks=_negative_zero),
    _unary("square", lambda x: x * x),
    _unary("tan", kinks=_oscillates),
    _unary("tanh"),
    *map(_step, ("ceil", "floor", "round", "sign", "trunc")),
]


def _power(n: float) -> Function:
    """``x ** n``. At 0, a negative power has a different limit on each side."""

    def special(x: float) -> Any:
        if x == -inf and n % 1:
            return None  # IEEE 754 says infinity, a square root says nan
        if x == 0 and copysign(1, x) < 0 and n % 1:
            return None  # PyTorch goes by way of a square root, which keeps the sign of -0
        if x != 0 or n >= 0:
            return ...
        return (copysign(inf, x) if n % 2 == 1 else inf), copysign(inf, -x if n % 2 == 0 else -1.0), None

    return Function(f"pow {n}", lambda x: x**n, lambda x: x ** mpf(n) if x or n > 0 else mpf(0), kinks=special)


POWERS = [_power(n) for n in (2, 3, 4, 5, 8, -1, -2, -3, 2.0, 3.0, -2.0, 0.5, 1.5, -0.5)]


def _normal(x: Any) -> Any:
    """The distribution function of the normal distribution. Beyond 40 it is 0 or 1, and mpmath's erfc needs seconds."""
    return mpf(x > 0) if abs(x) > 40 else mp.erfc(-x / mp.sqrt(2)) / 2


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def softplus(x: Any) -> Any:
    return x + mp.log(1 + exp(-x)) if x > 0 else mp.log(1 + exp(x))


def _clamped(low: float, x: Any, high: float) -> Any:
    return max(mpf(low), min(x, mpf(high)))


# -- activations -------------------------------------------------------------------------------------------------------
def _gelu_tanh(x: Any) -> Any:
    return x * _sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3))


def _smooth(name: str, formula: Formula, kinks: Callable[..., Any] = lambda x: ..., call: Any = None) -> Function:
    return Function(name, call or getattr(F, name), formula, kinks=kinks)


def _piecewise(name: str, formula: Formula, edges: dict[float, tuple[float, float]], call: Any = None) -> Function:
    """Linear between edges, where ``edges`` holds PyTorch's value and derivative. Second derivatives are 0."""
    return Function(
        name, call or getattr(F, name), formula, linear=True, kinks=lambda x: (*edges[x], 0.0) if x in edges else ...
    )


_SELU = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")

SMOOTH = [
    _smooth("celu", lambda x: max(x, 0) + min(0, exp(min(x, mpf(0))) - 1), _at((0.0, (0.0, 1.0, None)))),
    _smooth("elu", lambda x: x if x > 0 else exp(x) - 1, _at((0.0, (0.0, 1.0, None)))),
    _smooth("gelu", lambda x: x * _normal(x)),
    _smooth("gelu tanh", _gelu_tanh, call=lambda x: F.gelu(x, approximate="tanh")),
    _smooth("logsigmoid", lambda x: -softplus(-x)),
    _smooth("mish", lambda x: x * mp.tanh(min(softplus(x), mpf(_FAR)))),
    _smooth(
        "selu",
        lambda x: _SELU[0] * (x if x > 0 else _SELU[1] * (exp(x) - 1)),
        _at((0.0, (0.0, float(_SELU[0] * _SELU[1]), None))),
    ),
    _smooth("sigmoid", _sigmoid),
    _smooth("silu", lambda x: x * _sigmoid(x)),
    # linear above the threshold of 20; at the threshold PyTorch's formula is the curved one
    _smooth("softplus", lambda x: x if x > 20 else softplus(x), _at((20.0, None))),
    _smooth("softsign", lambda x: x / (1 + abs(x)), _at((0.0, (0.0, 1.0, None)))),
    _smooth("tanh", mp.tanh),
    # the value is the difference, as in PyTorch
    Function("tanhshrink", F.tanhshrink, lambda x: x - mp.tanh(x), ulps=(inf, 16, 32)),
]

PIECEWISE = [
    _piecewise("hardshrink", lambda x: x if abs(x) > 0.5 else mpf(0), {0.5: (0.0, 0.0), -0.5: (0.0, 0.0)}),
    _piecewise("hardsigmoid", lambda x: _clamped(0, x / 6 + 0.5, 1), {3.0: (1.0, 0.0), -3.0: (0.0, 0.0)}),
    _piecewise("hardtanh", lambda x: _clamped(-1, x, 1), {1.0: (1.0, 0.0), -1.0: (-1.0, 0.0)}),
    _piecewise("leaky_relu", lambda x: x if x > 0 else x / 100, {0.0: (0.0, 0.01)}),
    _piecewise("prelu", lambda x: x if x > 0 else x / 4, {0.0: (0.0, 0.25)},
               lambda x: F.prelu(x, rustorch.asarray([0.25], dtype=x.dtype, device=x.device))),
    _piecewise("relu", lambda x: max(x, mpf(0)), {0.0: (0.0, 0.0)}),
    _piecewise("relu6", lambda x: _clamped(0, x, 6), {0.0: (0.0, 0.0), 6.0: (6.0, 0.0)}),
    _piecewise("rrelu", lambda x: x if x > 0 else x * mpf(11) / 48, {0.0: (0.0, 11 / 48)}),
    _piecewise("softshrink", lambda x: mp.sign(x) * max(abs(x) - 0.5, mpf(0)), {0.5: (0.0, 0.0), -0.5: (0.0, 0.0)}),
    _piecewise("threshold", lambda x: x if x > 1 else mpf(20), {1.0: (20.0, 0.0)}, lambda x: F.threshold(x, 1.0, 20.0)),
    # a parabola between lines: any subgradient is accepted at its ends
    Function("hardswish", F.hardswish, lambda x: x * _clamped(0, x / 6 + 0.5, 1),
             kinks=lambda x: None if abs(x) == 3 else ..., linear=True),
]  # fmt: skip


# -- two arguments -----------------------------------------------------------------------------------------------------
def _binary(name: str, formula: Formula, kinks: Callable[..., Any] = lambda x1, x2: ..., **more: Any) -> Function:
    return Function(name, getattr(rustorch, name), formula, 2, kinks, **more)


def _tie(value: float) -> tuple:
    return value, 0.5, 0.5, 0.0, 0.0, 0.0


def unless_infinite(x1: float, x2: float) -> Any:
    """Two infinities have no difference and no quotient."""
    return None if isinf(x1) and isinf(x2) else ...


def _quotient(x1: float, x2: float) -> Any:
    """A division by 0 has two limits, and two infinities have no quotient."""
    return None if x2 == 0 or (isinf(x1) and isinf(x2)) else ...


def _angle(x1: float, x2: float) -> Any:
    if x1 == x2 == 0:
        return None, 0.0, 0.0, None, None, None  # PyTorch's convention
    # On the branch cut the value jumps. At infinity the angle of two infinities is a convention of IEEE 754.
    return (None, 0.0, 0.0, None, None, None) if isinf(x1) or isinf(x2) else None if x1 == 0 and x2 < 0 else ...


def _length(x1: float, x2: float) -> Any:
    if x1 == x2 == 0:
        return 0.0, 0.0, 0.0, None, None, None  # the subgradient; second derivatives do not exist
    return (inf, None, None, None, None, None) if isinf(x1) and isinf(x2) else ...


def _logaddexp(x1: Any, x2: Any) -> Any:
    return max(x1, x2) + mp.log(1 + exp(-abs(x1 - x2)))


def _both_low(x1: float, x2: float) -> Any:
    # the limit of equal arguments, for two infinities, too
    return (x1, 0.5, 0.5, None, None, None) if x1 == x2 and isinf(x1) else ...


def _raised(x1: Any, x2: Any) -> Any:
    """``x1 ** x2``. Beyond float64 another function takes its place, which is beyond float64, too."""
    size = x2 * mp.log(x1)
    return x1**x2 if abs(size) < _FAR else mpf(0) if size < 0 else mpf(2) ** 10_000 * x1 ** (4 * mp.sign(x2)) * x2**4


def _positive(x1: float, x2: float) -> Any:
    """Powers of infinite arguments and of 0 are conventions of IEEE 754, and some devices flush tiny powers to 0."""
    if isinf(x1) or isinf(x2) or x1 <= 0:
        return None
    size = -x2 * log(x1)
    return None if 87 < size < 104 or 708 < size < 746 else ...


BINARY = [
    _binary("add", lambda x1, x2: x1 + x2, unless_infinite, linear=True),
    _binary("atan2", mp.atan2, _angle),
    _binary(
        "copysign", lambda x1, x2: abs(x1) * (1 if x2 > 0 else -1), lambda x1, x2: None if x1 == 0 or x2 == 0 else ...
    ),
    _binary("divide", lambda x1, x2: x1 / x2, _quotient),
    _binary("hypot", lambda x1, x2: mp.sqrt(x1 * x1 + x2 * x2), _length),
    _binary("logaddexp", _logaddexp, _both_low),
    _binary("maximum", max, lambda x1, x2: _tie(x1) if x1 == x2 else ..., linear=True),
    _binary("minimum", min, lambda x1, x2: _tie(x1) if x1 == x2 else ..., linear=True),
    _binary("multiply", lambda x1, x2: x1 * x2, lambda x1, x2: None if isinf(x1) or isinf(x2) else ...),
    _binary("pow", _raised, _positive),
    _binary("subtract", lambda x1, x2: x1 - x2, unless_infinite, linear=True),
]
