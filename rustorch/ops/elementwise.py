"""Elementwise functions: one line each, the derivative beside the function.

Derivatives of complex functions follow PyTorch's convention: for a holomorphic f the gradient is ``g * conj(f'(x))``.
Subgradients at kinks are PyTorch's: ``maximum`` shares a tie evenly, ``abs`` and ``sign`` have 0 at 0. Functions
without a rule are the non-differentiable ones; those that are constant almost everywhere have the gradient zero, in
every order.

A rule is right to a few units in the last place over the whole range of a dtype, and so is what it has for a
derivative: it subtracts nothing that may be nearly equal, and squares nothing that may be too large or too small. At
infinity it has the limit.

Source of the derivatives: Abramowitz & Stegun, "Handbook of Mathematical Functions", 1964, sections 4.1 to 4.6.
"""

from __future__ import annotations

from math import inf
from math import log as _ln
from typing import Any

from ..autograd.check import adopt, common_backend, mixed_kinds, weak, weak_number
from ..autograd.functional import grad
from ..autograd.graph import VARIABLES
from ..autograd.primitive import Primitive, Rule, binary, unary
from ..backends.promotion import PYTHON_SCALARS
from . import elementwise_derivatives  # noqa: F401 - rules call its primitives as xp.<name>
from .complex_numbers import as_complex, conjugate, is_complex

__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "conj", "copysign", "cos",
    "cosh", "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal", "hypot", "imag",
    "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative", "nextafter", "not_equal",
    "positive", "pow", "real", "reciprocal", "remainder", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square",
    "subtract", "tan", "tanh", "trunc",
]  # fmt: skip

_UNARY = """{summary}

    Parameters
    ----------
    x : Variable or array
        Of any shape.

    Returns
    -------
    Variable
        Of the shape of ``x``.
    """
_BINARY = """{summary}

    Parameters
    ----------
    x1, x2 : Variable, array or Python number
        At least one array; their shapes broadcast.

    Returns
    -------
    Variable
        Of the broadcast shape and the promoted dtype.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.
    RuntimeError
        If the operands are on different devices.
    TypeError
        If the dtypes are of kinds that the standard does not promote together.
    """


def elementwise(
    name: str, summary: str, x: Rule | None = None, x1: Rule | None = None, x2: Rule | None = None, arity: int = 1
) -> Any:
    """The function ``name`` of the standard with its rules: of one array (``x``), or of two (``x1``, ``x2``)."""
    two = arity == 2 or x1 is not None or x2 is not None
    function = binary(name, x1, x2) if two else unary(name, x)
    function.__doc__ = (_BINARY if two else _UNARY).format(summary=summary)
    function.__module__ = __name__
    return function


def _flat(xp: Any, g: Any, x: Any) -> Any:
    return xp.zero_gradient(g, x)


def _sign_rule(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """Zero for real x and at 0. For complex x, sign is x / abs(x): only the part of g across its direction counts."""
    if not is_complex(x):
        return xp.zero_gradient(g, x)
    size = xp.abs(x)
    across = g - out * as_complex(xp, xp.real(xp.conj(out) * g))
    none = size == 0
    return xp.where(none, xp.zeros_like(across), across / as_complex(xp, xp.where(none, xp.ones_like(size), size)))


def _chosen(better: str) -> tuple[Rule, Rule]:
    """The rules of maximum (``better`` is ">") or minimum ("<"). The gradient goes to the chosen operand; a tie halves it."""

    def share(xp: Any, g: Any, mine: Any, other: Any) -> Any:
        lost = mine < other if better == ">" else mine > other
        return xp.where(mine == other, g / 2, xp.where(lost, xp.zeros_like(g), g))

    return (lambda xp, g, x1, x2: share(xp, g, x1, x2)), (lambda xp, g, x1, x2: share(xp, g, x2, x1))


def _pow_base(xp: Any, g: Any, x1: Any, x2: Any) -> Any:
    """``x2 * x1 ** (x2 - 1)``, and zero where the exponent is 0."""
    if type(x2) not in (int, float) or not -8192 < x2 < 8192 or x2 * 1024 % 1:  # ``x2 - 1`` may be rounded
        return g * conjugate(xp, xp.pow_slope(x1, x2))
    if x2 == 0:
        return xp.zero_gradient(g, x1)
    # on Variables, the power 1 is recorded: third derivatives of a square are zeros, not an error
    return g * conjugate(xp, x1 if x2 == 2 and type(x1) not in VARIABLES else xp.pow(x1, x2 - 1)) * x2


def _pow_exponent(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
    """``out * log(x1)``, and zero where a base of 0 has an exponent that is not negative, or an infinite base one that
    is.
    """
    if not hasattr(x1, "dtype"):
        # the logarithm of a Python number, in the dtype of the result
        x1 = xp.zeros_like(out) + x1
    re = xp.real(x2) if is_complex(x2) else x2
    none = xp.logical_or(xp.logical_and(x1 == 0, re >= 0), xp.logical_and(x1 == inf, re < 0))
    safe = xp.where(none, xp.ones_like(x1), x1)
    return xp.where(none, xp.zeros_like(g), g * conjugate(xp, out * xp.log(safe)))


def _hypot_rule(xp: Any, g: Any, x1: Any, x2: Any, out: Any) -> Any:
    """``g * x1 / out``, and zero at (0, 0). If ``g`` is 0 there, too, ``g / out`` is the derivative of ``g`` in
    ``out``: the second derivatives of the square of a hypot exist.
    """
    slope = g * xp.hypot_slope(x1, x2)
    if type(g) not in VARIABLES or not g._tracked or not out._tracked:
        return slope
    limit = grad(g, out, xp.ones_like(g), create_graph=True, allow_unused=True)[0]
    if limit is None:
        return slope
    zero = xp.logical_and(out == 0, xp.logical_and(g == 0, xp.isfinite(limit)))
    return xp.where(zero, limit * xp.where(zero, x1, xp.zeros_like(out)), slope)


def _tan_rule(xp: Any, g: Any, x: Any) -> Any:
    """``1 / cos(x) ** 2``; far from the real axis, the cosine overflows, and ``1 + tan(x) ** 2`` has no digits."""
    if is_complex(x):
        return g * xp.conj(xp.tanh_slope(1j * x))
    cos = xp.cos(x)
    return g / cos / cos


def _over_square(xp: Any, g: Any, root: Any) -> Any:
    """``g / root ** 2``, where the square may be too large."""
    root = conjugate(xp, root)
    return g / root / root


# fmt: off
# -- arithmetic --------------------------------------------------------------------------------------------------------
add = elementwise("add", "``x1 + x2``.",
                  x1=lambda xp, g: g,
                  x2=lambda xp, g: g)
subtract = elementwise("subtract", "``x1 - x2``.",
                       x1=lambda xp, g: g,
                       x2=lambda xp, g: -g)
multiply = elementwise("multiply", "``x1 * x2``.",
                       x1=lambda xp, g, x2: g * conjugate(xp, x2),
                       x2=lambda xp, g, x1: g * conjugate(xp, x1))
divide = elementwise("divide", "``x1 / x2``.",
                     x1=lambda xp, g, x2: g / conjugate(xp, x2),
                     x2=lambda xp, g, x2, out: -g * conjugate(xp, out / x2))
floor_divide = elementwise("floor_divide", "``x1 // x2``: the quotient rounded toward minus infinity. Its gradient is 0.",
                           x1=lambda xp, g, x1: xp.zero_gradient(g, x1),
                           x2=lambda xp, g, x2: xp.zero_gradient(g, x2))
remainder = elementwise("remainder", "``x1 % x2``: what is left of x1 by floor division; has the sign of x2.",
                        x1=lambda xp, g: g,
                        x2=lambda xp, g, x1, x2: -g * xp.floor_divide(x1, x2))
pow = elementwise("pow", "``x1 ** x2``.", x1=_pow_base, x2=_pow_exponent)
negative = elementwise("negative", "``-x``.", x=lambda xp, g: -g)
positive = elementwise("positive", "``+x``.", x=lambda xp, g: g)
abs = elementwise("abs", "Absolute value; for complex numbers, the modulus.", x=lambda xp, g, x: g * xp.sign(x))
square = elementwise("square", "``x * x``.", x=lambda xp, g, x: 2 * (g * conjugate(xp, x)))
sqrt = elementwise("sqrt", "Principal square root.", x=lambda xp, g, out: g / (2 * conjugate(xp, out)))
reciprocal = elementwise("reciprocal", "``1 / x``.",
                         x=lambda xp, g, out: -(g * conjugate(xp, out) * conjugate(xp, out)))
hypot = elementwise("hypot", "``sqrt(x1**2 + x2**2)``, without overflow on the way. Its gradient at (0, 0) is 0.",
                    x1=lambda xp, g, x1, x2, out: _hypot_rule(xp, g, x1, x2, out),
                    x2=lambda xp, g, x1, x2, out: _hypot_rule(xp, g, x2, x1, out))
maximum = elementwise("maximum", "The larger of two numbers; a tie shares its gradient evenly.",
                      x1=_chosen(">")[0], x2=_chosen(">")[1])
minimum = elementwise("minimum", "The smaller of two numbers; a tie shares its gradient evenly.",
                      x1=_chosen("<")[0], x2=_chosen("<")[1])
copysign = elementwise("copysign", "The magnitude of x1 with the sign of x2.",
                       x1=lambda xp, g, x1, out: g * (xp.sign(x1) * xp.sign(out)),
                       x2=lambda xp, g, x2: xp.zero_gradient(g, x2))

# -- exponentials and logarithms ---------------------------------------------------------------------------------------
exp = elementwise("exp", "``e ** x``.", x=lambda xp, g, out: g * conjugate(xp, out))
expm1 = elementwise("expm1", "``exp(x) - 1``, exact near 0.", x=lambda xp, g, x: g * conjugate(xp, xp.exp(x)))
log = elementwise("log", "Natural logarithm.", x=lambda xp, g, x: g / conjugate(xp, x))
log1p = elementwise("log1p", "``log(1 + x)``, exact near 0.", x=lambda xp, g, x: g / conjugate(xp, x + 1))
log2 = elementwise("log2", "Logarithm to base 2.", x=lambda xp, g, x: g * (1 / _ln(2)) / conjugate(xp, x))
log10 = elementwise("log10", "Logarithm to base 10.", x=lambda xp, g, x: g * (1 / _ln(10)) / conjugate(xp, x))
logaddexp = elementwise("logaddexp", "``log(exp(x1) + exp(x2))``, without overflow on the way.",
                        x1=lambda xp, g, x1, x2: g * xp.logaddexp_slope(x1, x2),
                        x2=lambda xp, g, x1, x2: g * xp.logaddexp_slope(x2, x1))

# -- trigonometric and hyperbolic functions; angles in radians ---------------------------------------------------------
sin = elementwise("sin", "Sine of an angle in radians.", x=lambda xp, g, x: g * conjugate(xp, xp.cos(x)))
cos = elementwise("cos", "Cosine of an angle in radians.", x=lambda xp, g, x: -g * conjugate(xp, xp.sin(x)))
tan = elementwise("tan", "Tangent of an angle in radians.", x=_tan_rule)
asin = elementwise("asin", "Inverse sine, in radians.",
                   x=lambda xp, g, x: g / conjugate(xp, xp.sqrt_one_minus_square(x)))
acos = elementwise("acos", "Inverse cosine, in radians.",
                   x=lambda xp, g, x: -g / conjugate(xp, xp.sqrt_one_minus_square(x)))
atan = elementwise("atan", "Inverse tangent, in radians.",
                   x=lambda xp, g, x: _over_square(xp, g, xp.sqrt_one_plus_square(x)))
atan2 = elementwise("atan2", "The angle of the point (x2, x1), in radians, in [-pi, pi]. Its gradient at (0, 0) is 0.",
                    x1=lambda xp, g, x1, x2: g * xp.atan2_slope(x1, x2),
                    x2=lambda xp, g, x1, x2: -g * xp.atan2_slope(x2, x1))
sinh = elementwise("sinh", "Hyperbolic sine.", x=lambda xp, g, x: g * conjugate(xp, xp.cosh(x)))
cosh = elementwise("cosh", "Hyperbolic cosine.", x=lambda xp, g, x: g * conjugate(xp, xp.sinh(x)))
tanh = elementwise("tanh", "Hyperbolic tangent.", x=lambda xp, g, x: g * conjugate(xp, xp.tanh_slope(x)))
asinh = elementwise("asinh", "Inverse hyperbolic sine.",
                    x=lambda xp, g, x: g / conjugate(xp, xp.sqrt_one_plus_square(x)))
acosh = elementwise("acosh", "Inverse hyperbolic cosine.",
                    x=lambda xp, g, x: g / conjugate(xp, xp.sqrt_square_minus_one(x)))
atanh = elementwise("atanh", "Inverse hyperbolic tangent.",
                    x=lambda xp, g, x: _over_square(xp, g, xp.sqrt_one_minus_square(x)))

# -- complex numbers ---------------------------------------------------------------------------------------------------
conj = elementwise("conj", "Complex conjugate.", x=lambda xp, g: conjugate(xp, g))
real = elementwise("real", "Real part.", x=lambda xp, g: g)
imag = elementwise("imag", "Imaginary part.", x=lambda xp, g: as_complex(xp, g) * 1j)

# -- constant almost everywhere: the gradient is zero ------------------------------------------------------------------
sign = elementwise("sign", "-1, 0 or 1 with the sign of x; for complex numbers ``x / abs(x)``.", x=_sign_rule)
floor = elementwise("floor", "The largest integer that is not above x.", x=_flat)
ceil = elementwise("ceil", "The smallest integer that is not below x.", x=_flat)
trunc = elementwise("trunc", "The integer part of x.", x=_flat)
round = elementwise("round", "The nearest integer, the even one of two.", x=_flat)

# -- no derivative -----------------------------------------------------------------------------------------------------
nextafter = elementwise("nextafter", "The next floating-point number after x1 in the direction of x2.", arity=2)
equal = elementwise("equal", "``x1 == x2``, as booleans.", arity=2)
not_equal = elementwise("not_equal", "``x1 != x2``, as booleans.", arity=2)
less = elementwise("less", "``x1 < x2``, as booleans.", arity=2)
less_equal = elementwise("less_equal", "``x1 <= x2``, as booleans.", arity=2)
greater = elementwise("greater", "``x1 > x2``, as booleans.", arity=2)
greater_equal = elementwise("greater_equal", "``x1 >= x2``, as booleans.", arity=2)
isfinite = elementwise("isfinite", "Whether x is neither infinite nor nan.")
isinf = elementwise("isinf", "Whether x is infinite.")
isnan = elementwise("isnan", "Whether x is nan.")
signbit = elementwise("signbit", "Whether the sign bit of x is set.")
logical_and = elementwise("logical_and", "``x1 and x2``, for booleans.", arity=2)
logical_or = elementwise("logical_or", "``x1 or x2``, for booleans.", arity=2)
logical_xor = elementwise("logical_xor", "Whether one of two booleans holds, but not both.", arity=2)
logical_not = elementwise("logical_not", "``not x``, for booleans.")
bitwise_and = elementwise("bitwise_and", "``x1 & x2``, for integers and booleans.", arity=2)
bitwise_or = elementwise("bitwise_or", "``x1 | x2``, for integers and booleans.", arity=2)
bitwise_xor = elementwise("bitwise_xor", "``x1 ^ x2``, for integers and booleans.", arity=2)
bitwise_invert = elementwise("bitwise_invert", "``~x``, for integers and booleans.")
bitwise_left_shift = elementwise("bitwise_left_shift", "``x1 << x2``, for integers.", arity=2)
bitwise_right_shift = elementwise("bitwise_right_shift", "``x1 >> x2``, for integers.", arity=2)
# fmt: on


# -- clip: bounds are optional -----------------------------------------------------------------------------------------
def _within(xp: Any, x: Any, low: Any, high: Any) -> Any:
    """Where x lies inside the bounds, edges included, as PyTorch has it."""
    inside = xp.isnan(x) if low is None and high is None else None
    for bound, ok in ((low, lambda: x >= low), (high, lambda: x <= high)):
        if bound is not None:
            inside = ok() if inside is None else xp.logical_and(inside, ok())
    return inside


_clip = Primitive(
    "clip",
    lambda xp, x, low, high, /: xp.clip(x, low, high),
    x=lambda xp, g, x, low, high: (
        g if low is high is None else xp.where(_within(xp, x, low, high), g, xp.zeros_like(g))
    ),
    low=lambda xp, g, x, low, high: xp.where(
        x < low if high is None else xp.logical_and(x < low, low < high), g, xp.zeros_like(g)
    ),
    high=lambda xp, g, x, low, high: xp.where(
        x > high if low is None else xp.logical_or(x > high, low > high), g, xp.zeros_like(g)
    ),
)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Every element brought into [min, max]; a gradient passes where it already was, edges included.

    Parameters
    ----------
    x : Variable or array
    min, max : Variable, array, Python number or None
        Bounds, broadcast against ``x``; None for no bound.

    Returns
    -------
    Variable
        Of the broadcast shape and the dtype of ``x``.

    Raises
    ------
    TypeError
        If a bound is of a kind that the standard does not mix with that of ``x``.
    """
    x = adopt(x, "clip", (min, max))
    return _clip(x, _bound(min, x), _bound(max, x))


def _bound(bound: Any, x: Any) -> Any:
    if bound is None:
        return None
    bound = weak(bound, x)
    if type(bound) in PYTHON_SCALARS:
        weak_number("clip", bound, x._native)
        return bound
    bound = adopt(bound, "clip", (x,))
    mixed_kinds("clip", common_backend("clip", (x, bound)), x._native, bound._native)
    return bound
