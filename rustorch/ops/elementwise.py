"""Elementwise functions: one line each, the derivative beside the function.

Derivatives of complex functions follow PyTorch's convention: for a holomorphic f the gradient is ``g * conj(f'(x))``.
Subgradients at kinks are PyTorch's: ``maximum`` shares a tie evenly, ``abs`` and ``sign`` have the gradient 0 at 0.
A function without a rule is not differentiable. A function that is constant almost everywhere has the gradient zero, in
every order.

Each rule, and the derivative of each rule, is exact to a few units in the last place over the whole range of a dtype.
So a rule never subtracts numbers that may be nearly equal, and never squares a number whose square may overflow or
underflow. At infinity a rule gives the limit.

Source of the derivatives: Abramowitz & Stegun, "Handbook of Mathematical Functions", 1964, sections 4.1 to 4.6.
"""

from __future__ import annotations

from math import inf
from math import log as _ln
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt, common_backend, mixed_kinds, weak, weak_number
from ..autograd.fusable import fusable
from ..autograd.grad import grad
from ..autograd.graph import VARIABLES
from ..autograd.primitive import Primitive, Rule, binary, unary
from ..backends.promotion import PYTHON_SCALARS
from . import elementwise_derivatives  # noqa: F401 - rules call its primitives as xp.<name>
from .complex_numbers import as_complex, conjugate, is_complex

if TYPE_CHECKING:
    from ..autograd.primitive import BinaryFunction, UnaryFunction
    from ..typing import Array, ArrayLike, Namespace
    from ..variable import Variable

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
        At least one is a Variable or an array. Their shapes broadcast.

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
        If the standard does not promote the two dtypes.
    """


def _unary(name: str, summary: str, x: Rule | None = None) -> UnaryFunction:
    """The standard's function ``name`` of one array, with the rule for its gradient."""
    function = unary(name, _fused(name, x))
    function.__doc__ = _UNARY.format(summary=summary)
    function.__module__ = __name__
    return function


def _binary(name: str, summary: str, x1: Rule | None = None, x2: Rule | None = None) -> BinaryFunction:
    """The standard's function ``name`` of two arrays, with the rules for the gradients of each."""
    function = binary(name, _fused(name, x1), _fused(name, x2))
    function.__doc__ = _BINARY.format(summary=summary)
    function.__module__ = __name__
    return function


_PASS_ON: Rule = lambda xp, g: g  # noqa: E731 - the rules that it is compared with are such functions


def _fused(name: str, rule: Rule | None) -> Rule | None:
    """The rule as one loop, unless it only passes its gradient on."""
    if rule is None or rule.__code__.co_code == _PASS_ON.__code__.co_code:
        return rule
    return fusable(rule, f"{name}_rule")


# -- rules of more than one line ---------------------------------------------------------------------------------------
def _zero(xp: Namespace, g: Array, x: Array) -> Array:
    return xp.zero_gradient(g, x)


def _sign_rule(xp: Namespace, g: Array, x: Array, out: Array) -> Array:
    """Zero for real ``x``, and at 0. A complex sign is ``x / abs(x)``: its rule removes the part of g along it."""
    if not is_complex(x):
        return xp.zero_gradient(g, x)
    size = xp.abs(x)
    across = g - out * as_complex(xp, xp.real(xp.conj(out) * g))
    is_zero = size == 0
    safe_size = xp.where(is_zero, xp.ones_like(size), size)
    return xp.where(is_zero, xp.zeros_like(across), across / as_complex(xp, safe_size))


def _extreme_rules(larger_wins: bool) -> tuple[Rule, Rule]:
    """The rules of maximum or minimum: the operand that was chosen gets the gradient, half of it at a tie."""

    def rule(xp: Namespace, g: Array, x: Array, other: Array) -> Array:
        not_chosen = x < other if larger_wins else x > other
        return xp.where(x == other, g / 2, xp.where(not_chosen, xp.zeros_like(g), g))

    return (lambda xp, g, x1, x2: rule(xp, g, x1, x2)), (lambda xp, g, x1, x2: rule(xp, g, x2, x1))


def _pow_base(xp: Namespace, g: Array, x1: Array, x2: Array) -> Array:
    """``x2 * x1 ** (x2 - 1)``, and zero where the exponent is 0."""
    if type(x2) not in (int, float) or not -8192 < x2 < 8192 or x2 * 1024 % 1:  # ``x2 - 1`` may be rounded
        return g * conjugate(xp, xp.pow_slope(x1, x2))
    if x2 == 0:
        return xp.zero_gradient(g, x1)
    # On Variables the power 1 is recorded: third derivatives of a square are zeros then, not an error.
    return g * conjugate(xp, x1 if x2 == 2 and type(x1) not in VARIABLES else xp.pow(x1, x2 - 1)) * x2


def _pow_exponent(xp: Namespace, g: Array, x1: Array, x2: Array, out: Array) -> Array:
    """``out * log(x1)``. It is zero where ``0 ** x2`` has ``x2 >= 0``, and where ``inf ** x2`` has ``x2 < 0``."""
    if not hasattr(x1, "dtype"):
        # The logarithm of a Python number is taken in the dtype of the result.
        x1 = xp.zeros_like(out) + x1
    real_x2 = xp.real(x2) if is_complex(x2) else x2
    is_zero = xp.logical_or(xp.logical_and(x1 == 0, real_x2 >= 0), xp.logical_and(x1 == inf, real_x2 < 0))
    safe = xp.where(is_zero, xp.ones_like(x1), x1)
    return xp.where(is_zero, xp.zeros_like(g), g * conjugate(xp, out * xp.log(safe)))


def _hypot_rule(xp: Namespace, g: Array, x1: Array, x2: Array, out: Array) -> Array:
    """``g * x1 / out``, and zero at (0, 0).

    If ``g`` is 0 at (0, 0), too, the limit of ``g / out`` is the derivative of ``g`` in ``out``. So the second
    derivatives of ``hypot(x1, x2) ** 2`` exist there.
    """
    gradient = g * xp.hypot_slope(x1, x2)
    if type(g) not in VARIABLES or not g._tracked or not out._tracked:
        return gradient
    limit = grad(g, out, xp.ones_like(g), create_graph=True, allow_unused=True)[0]
    if limit is None:
        return gradient
    has_limit = xp.logical_and(out == 0, xp.logical_and(g == 0, xp.isfinite(limit)))
    return xp.where(has_limit, limit * xp.where(has_limit, x1, xp.zeros_like(out)), gradient)


def _tan_rule(xp: Namespace, g: Array, x: Array) -> Array:
    """``1 / cos(x) ** 2``.

    Far from the real axis the cosine overflows, and ``1 + tan(x) ** 2`` loses all its digits: a kernel computes it.
    """
    if is_complex(x):
        return g * xp.conj(xp.tanh_slope(1j * x))
    cos = xp.cos(x)
    return g / cos / cos


def _over_square(xp: Namespace, g: Array, root: Array) -> Array:
    """``g / root ** 2``, in two divisions because the square may overflow."""
    root = conjugate(xp, root)
    return g / root / root


# fmt: off
# -- arithmetic --------------------------------------------------------------------------------------------------------
add = _binary("add", "``x1 + x2``.",
              x1=lambda xp, g: g,
              x2=lambda xp, g: g)
subtract = _binary("subtract", "``x1 - x2``.",
                   x1=lambda xp, g: g,
                   x2=lambda xp, g: -g)
multiply = _binary("multiply", "``x1 * x2``.",
                   x1=lambda xp, g, x2: g * conjugate(xp, x2),
                   x2=lambda xp, g, x1: g * conjugate(xp, x1))
divide = _binary("divide", "``x1 / x2``.",
                 x1=lambda xp, g, x2: g / conjugate(xp, x2),
                 x2=lambda xp, g, x2, out: -g * conjugate(xp, out / x2))
floor_divide = _binary("floor_divide", "``x1 // x2``: the quotient, rounded down. Its gradient is 0.",
                       x1=lambda xp, g, x1: xp.zero_gradient(g, x1),
                       x2=lambda xp, g, x2: xp.zero_gradient(g, x2))
remainder = _binary("remainder", "``x1 % x2``: the remainder of floor division. It has the sign of x2.",
                    x1=lambda xp, g: g,
                    x2=lambda xp, g, x1, x2: -g * xp.floor_divide(x1, x2))
pow = _binary("pow", "``x1 ** x2``.", x1=_pow_base, x2=_pow_exponent)
negative = _unary("negative", "``-x``.", x=lambda xp, g: -g)
positive = _unary("positive", "``+x``.", x=lambda xp, g: g)
abs = _unary("abs", "Absolute value; for complex numbers, the modulus.", x=lambda xp, g, x: g * xp.sign(x))
square = _unary("square", "``x * x``.", x=lambda xp, g, x: 2 * (g * conjugate(xp, x)))
sqrt = _unary("sqrt", "Principal square root.", x=lambda xp, g, out: g / (2 * conjugate(xp, out)))
reciprocal = _unary("reciprocal", "``1 / x``.",
                    x=lambda xp, g, out: -(g * conjugate(xp, out) * conjugate(xp, out)))
hypot = _binary("hypot", "``sqrt(x1**2 + x2**2)`` without overflow in the squares. Its gradient at (0, 0) is 0.",
                x1=lambda xp, g, x1, x2, out: _hypot_rule(xp, g, x1, x2, out),
                x2=lambda xp, g, x1, x2, out: _hypot_rule(xp, g, x2, x1, out))
maximum = _binary("maximum", "The larger of two numbers. A tie shares its gradient evenly.",
                  x1=_extreme_rules(True)[0], x2=_extreme_rules(True)[1])
minimum = _binary("minimum", "The smaller of two numbers. A tie shares its gradient evenly.",
                  x1=_extreme_rules(False)[0], x2=_extreme_rules(False)[1])
copysign = _binary("copysign", "The magnitude of x1 with the sign of x2.",
                   x1=lambda xp, g, x1, out: g * (xp.sign(x1) * xp.sign(out)),
                   x2=lambda xp, g, x2: xp.zero_gradient(g, x2))

# -- exponentials and logarithms ---------------------------------------------------------------------------------------
exp = _unary("exp", "``e ** x``.", x=lambda xp, g, out: g * conjugate(xp, out))
expm1 = _unary("expm1", "``exp(x) - 1``, exact near 0.", x=lambda xp, g, x: g * conjugate(xp, xp.exp(x)))
log = _unary("log", "Natural logarithm.", x=lambda xp, g, x: g / conjugate(xp, x))
log1p = _unary("log1p", "``log(1 + x)``, exact near 0.", x=lambda xp, g, x: g / conjugate(xp, x + 1))
log2 = _unary("log2", "Logarithm to base 2.", x=lambda xp, g, x: g * (1 / _ln(2)) / conjugate(xp, x))
log10 = _unary("log10", "Logarithm to base 10.", x=lambda xp, g, x: g * (1 / _ln(10)) / conjugate(xp, x))
logaddexp = _binary("logaddexp", "``log(exp(x1) + exp(x2))`` without overflow in the exponentials.",
                    x1=lambda xp, g, x1, x2: g * xp.logaddexp_slope(x1, x2),
                    x2=lambda xp, g, x1, x2: g * xp.logaddexp_slope(x2, x1))

# -- trigonometric and hyperbolic functions; angles in radians ---------------------------------------------------------
sin = _unary("sin", "Sine of an angle in radians.", x=lambda xp, g, x: g * conjugate(xp, xp.cos(x)))
cos = _unary("cos", "Cosine of an angle in radians.", x=lambda xp, g, x: -g * conjugate(xp, xp.sin(x)))
tan = _unary("tan", "Tangent of an angle in radians.", x=_tan_rule)
asin = _unary("asin", "Inverse sine, in radians.",
              x=lambda xp, g, x: g / conjugate(xp, xp.sqrt_one_minus_square(x)))
acos = _unary("acos", "Inverse cosine, in radians.",
              x=lambda xp, g, x: -g / conjugate(xp, xp.sqrt_one_minus_square(x)))
atan = _unary("atan", "Inverse tangent, in radians.",
              x=lambda xp, g, x: _over_square(xp, g, xp.sqrt_one_plus_square(x)))
atan2 = _binary("atan2", "The angle of the point (x2, x1), in radians, in [-pi, pi]. Its gradient at (0, 0) is 0.",
                x1=lambda xp, g, x1, x2: g * xp.atan2_slope(x1, x2),
                x2=lambda xp, g, x1, x2: -g * xp.atan2_slope(x2, x1))
sinh = _unary("sinh", "Hyperbolic sine.", x=lambda xp, g, x: g * conjugate(xp, xp.cosh(x)))
cosh = _unary("cosh", "Hyperbolic cosine.", x=lambda xp, g, x: g * conjugate(xp, xp.sinh(x)))
tanh = _unary("tanh", "Hyperbolic tangent.", x=lambda xp, g, x: g * conjugate(xp, xp.tanh_slope(x)))
asinh = _unary("asinh", "Inverse hyperbolic sine.",
               x=lambda xp, g, x: g / conjugate(xp, xp.sqrt_one_plus_square(x)))
acosh = _unary("acosh", "Inverse hyperbolic cosine.",
               x=lambda xp, g, x: g / conjugate(xp, xp.sqrt_square_minus_one(x)))
atanh = _unary("atanh", "Inverse hyperbolic tangent.",
               x=lambda xp, g, x: _over_square(xp, g, xp.sqrt_one_minus_square(x)))

# -- complex numbers ---------------------------------------------------------------------------------------------------
conj = _unary("conj", "Complex conjugate.", x=lambda xp, g: conjugate(xp, g))
real = _unary("real", "Real part.", x=lambda xp, g: g)
imag = _unary("imag", "Imaginary part.", x=lambda xp, g: as_complex(xp, g) * 1j)

# -- constant almost everywhere: the gradient is zero ------------------------------------------------------------------
sign = _unary("sign", "-1, 0 or 1 with the sign of x; for complex numbers ``x / abs(x)``.", x=_sign_rule)
floor = _unary("floor", "Round down: the largest integer that is not above x.", x=_zero)
ceil = _unary("ceil", "Round up: the smallest integer that is not below x.", x=_zero)
trunc = _unary("trunc", "Round toward 0: the integer part of x.", x=_zero)
round = _unary("round", "The nearest integer. Halves are rounded to the even integer.", x=_zero)

# -- no derivative -----------------------------------------------------------------------------------------------------
nextafter = _binary("nextafter", "The next floating-point number after x1 in the direction of x2.")
equal = _binary("equal", "``x1 == x2``, as booleans.")
not_equal = _binary("not_equal", "``x1 != x2``, as booleans.")
less = _binary("less", "``x1 < x2``, as booleans.")
less_equal = _binary("less_equal", "``x1 <= x2``, as booleans.")
greater = _binary("greater", "``x1 > x2``, as booleans.")
greater_equal = _binary("greater_equal", "``x1 >= x2``, as booleans.")
isfinite = _unary("isfinite", "Whether x is neither infinite nor nan.")
isinf = _unary("isinf", "Whether x is infinite.")
isnan = _unary("isnan", "Whether x is nan.")
signbit = _unary("signbit", "Whether the sign bit of x is set.")
logical_and = _binary("logical_and", "``x1 and x2``, for booleans.")
logical_or = _binary("logical_or", "``x1 or x2``, for booleans.")
logical_xor = _binary("logical_xor", "Whether exactly one of two booleans is true.")
logical_not = _unary("logical_not", "``not x``, for booleans.")
bitwise_and = _binary("bitwise_and", "``x1 & x2``, for integers and booleans.")
bitwise_or = _binary("bitwise_or", "``x1 | x2``, for integers and booleans.")
bitwise_xor = _binary("bitwise_xor", "``x1 ^ x2``, for integers and booleans.")
bitwise_invert = _unary("bitwise_invert", "``~x``, for integers and booleans.")
bitwise_left_shift = _binary("bitwise_left_shift", "``x1 << x2``, for integers.")
bitwise_right_shift = _binary("bitwise_right_shift", "``x1 >> x2``, for integers.")
# fmt: on


# -- clip: each bound is optional --------------------------------------------------------------------------------------
def _within(xp: Namespace, x: Array, low: Array, high: Array) -> Array:
    """Where ``x`` lies within the bounds, or on one, as in PyTorch. One of the bounds is not None."""
    if low is None:
        return x <= high
    return x >= low if high is None else xp.logical_and(x >= low, x <= high)


@fusable
def _clip_x(xp: Namespace, g: Array, x: Array, low: Array, high: Array) -> Array:
    return g if low is high is None else xp.where(_within(xp, x, low, high), g, xp.zeros_like(g))


_clip = Primitive(
    "clip",
    lambda xp, x, low, high, /: xp.clip(x, low, high),
    x=_clip_x,
    low=lambda xp, g, x, low, high: xp.where(
        x < low if high is None else xp.logical_and(x < low, low < high), g, xp.zeros_like(g)
    ),
    high=lambda xp, g, x, low, high: xp.where(
        x > high if low is None else xp.logical_or(x > high, low > high), g, xp.zeros_like(g)
    ),
)


def clip(x: ArrayLike, /, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Variable:
    """Replace elements below ``min`` by ``min`` and elements above ``max`` by ``max``.

    The gradient passes to elements within the bounds or on a bound, and to a bound where it replaced an element.

    Parameters
    ----------
    x : Variable or array
    min, max : Variable, array, Python number or None
        Bounds, broadcast against ``x``. None: no bound.

    Returns
    -------
    Variable
        Of the broadcast shape and the dtype of ``x``.

    Raises
    ------
    TypeError
        If the standard does not promote the dtype of a bound with that of ``x``.
    """
    x = adopt(x, "clip", (min, max))
    return _clip(x, _bound(min, x), _bound(max, x))


def _bound(bound: Any, x: Variable) -> Any:
    """A bound of `clip` as a Python number, a Variable or None, of a dtype that promotes with that of ``x``."""
    if bound is None:
        return None
    bound = weak(bound, x)
    if type(bound) in PYTHON_SCALARS:
        weak_number("clip", bound, x._native)
        return bound
    bound = adopt(bound, "clip", (x,))
    mixed_kinds("clip", common_backend("clip", (x, bound)), x._native, bound._native)
    return bound
