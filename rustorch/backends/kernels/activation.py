"""Activations and their derivatives, accurate to a few units in the last place for all numbers, infinities included.

Every exponential is of a number that is not positive, and a factor beside it is bounded first. So nothing overflows,
and nothing becomes infinity times 0. The product of a number and a small exponential takes the exponential's square
root twice: the root is not subnormal yet where the exponential is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, pi, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: The density of the normal distribution at 0.
DENSITY = 1 / sqrt(2 * pi)
#: ``exp(-FAR / 2)`` is 0 in float64.
FAR = 2000.0


def _polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """A polynomial by Horner's rule. The coefficient of the highest power comes first."""
    out = coefficients[0] * x + coefficients[1]
    for a in coefficients[2:]:
        out = out * x + a
    return out


def _complex(xp: Namespace, x: Array) -> bool:
    return bool(xp.isdtype(x.dtype, "complex floating"))


# -- the error function ------------------------------------------------------------------------------------------------
# Source: Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23, 1969. Cody's third range,
# from 4 on, is for the relative precision of 1 - erf(x), which nobody asks for here.
#: The end of ERF_NEAR's range.
ERF_BREAK = 0.46875
#: erf is 1 in float64 from 5.93 on.
ERF_IS_ONE = 6.0
#: P and Q of ``erf(x) = x * P(x*x) / Q(x*x)``, with the highest power first.
ERF_NEAR = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
#: P and Q of ``1 - erf(x) = exp(-x*x) * P(x) / Q(x)``.
ERF_FAR = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)


def _ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    return _polynomial(x, coefficients[0]) / _polynomial(x, coefficients[1])


def erf(xp: Namespace, x: Array) -> Array:
    """The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t * t)`` from 0 to x, to 1e-15 in float64."""
    size = xp.abs(x)
    near = size <= ERF_BREAK
    zero, one = xp.zeros_like(size), xp.ones_like(size)
    small = xp.where(near, x, zero)
    # nan is not near, and neither comparison replaces it
    large = xp.where(near, one, xp.where(size > ERF_IS_ONE, one * ERF_IS_ONE, size))
    far = 1 - xp.exp(-(large * large)) * _ratio(large, ERF_FAR)
    return xp.where(near, small * _ratio(small * small, ERF_NEAR), xp.where(x < 0, -far, far))


# -- the exact GELU ----------------------------------------------------------------------------------------------------
#: ``exp(-LIMIT * LIMIT / 2)`` is 0 in float64.
LIMIT = 40.0
#: For a smaller x, P(X <= x) is 1/2 to the last bit, and gelu(x) may be subnormal, which is 0 to GPUs and JAX.
SMALL = 1e-17
#: ``exp(t * t / 2) * P(X <= -t) * (1 + t)`` for a normal X and t >= 0, as a polynomial in ``(t - 3.75) / (t + 3.75)``,
#: interpolated at Chebyshev's points. Method: Shepherd & Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2)
#: erfc x", Math. Comp. 36, 1981.
GELU_TAIL = (
    -8.682255916663509e-10,
    1.3641328333891998e-09,
    1.03956196217955e-08,
    -7.546656972971676e-09,
    -6.578576338120192e-08,
    -6.6039418054087855e-09,
    2.991982140847453e-07,
    2.935390251677826e-07,
    -1.1199006862122754e-06,
    -2.365067263250641e-06,
    3.838158091365877e-06,
    1.4691273619829326e-05,
    -1.4885566560146627e-05,
    -8.735960578165379e-05,
    9.803562162682343e-05,
    0.00052118929833073,
    -0.0011401081250541692,
    -0.002208087525003497,
    0.014486042233975049,
    -0.03181294455694057,
    0.033450599638292514,
    0.0078594898627928,
    -0.09741150479881362,
    0.4751862457684028,
)
#: `GELU_TAIL` to float32's precision.
GELU_SHORT_TAIL = (
    -5.4336988225194265e-05,
    7.00088507836043e-05,
    0.0004877573469636272,
    -0.0011155970394293088,
    -0.0021916531173533393,
    0.014475998107409018,
    -0.03181667545087046,
    0.03345232619996942,
    0.007859802971643213,
    -0.09741158901947475,
    0.47518624148430366,
)


def exp_of_sum(xp: Namespace, x: Array, rest: Array) -> Array:
    """``exp(x + rest)`` for a finite x and a smaller rest. The last factor corrects the rounding error of their sum."""
    total = x + rest
    return xp.exp(total) * (1 + (rest - (total - x)))


def gaussian(xp: Namespace, x: Array, rate: float) -> Array:
    """``exp(-rate * x * x)`` for a rate of 1/2 or 1."""
    return _bell(xp, xp.clip(x, -LIMIT, LIMIT), rate)


def _bell(xp: Namespace, x: Array, rate: float) -> Array:
    """`gaussian` of numbers from -LIMIT to LIMIT.

    Rounding the square of a large number would change the result by many units in the last place. So x is split into a
    number with few digits, whose square is exact, and a small rest.
    """
    coarse = xp.round(x * 16) / 16
    return xp.exp_of_sum(-rate * (coarse * coarse), rate * ((coarse - x) * (x + coarse)))


def gelu_tail(xp: Namespace, x: Array) -> Array:
    """`GELU_TAIL` of x, from -1 to 1, to the precision of x's dtype."""
    return _polynomial(x, GELU_TAIL if x.dtype == xp.float64 else GELU_SHORT_TAIL)


def gelu(xp: Namespace, x: Array) -> Array:
    """``x * P(X <= x)`` for a normal X. With ``t = abs(x)`` and ``q = t * P(X <= -t)``, that is ``-q`` below 0 and
    ``x - q`` above.
    """
    t = xp.clip(xp.abs(x), None, LIMIT)
    above, far = 1 + t, t + 3.75
    inverse = 1 / (above * far)  # for t / above and (t - 3.75) / far: one division is faster than two
    q = (t * far) * inverse * xp.gelu_tail((t - 3.75) * above * inverse) * _bell(xp, t, 0.5)
    return xp.where(x < 0, -q, x - q)


def gelu_grad(xp: Namespace, g: Array, x: Array, out: Array) -> Array:
    """``g * (P(X <= x) + x * density(x))``. The probability is ``out / x``, so no polynomial is needed again."""
    small = xp.abs(x) < SMALL
    y = xp.clip(x, -LIMIT, LIMIT)
    one = xp.ones_like(x)
    probability = xp.where(small, one / 2, xp.clip(out, -LIMIT, LIMIT) / xp.where(small, one, y))
    return g * (probability + y * (DENSITY * _bell(xp, y, 0.5)))


# -- GELU by tanh: x * sigmoid(w) for w = x * (SLOPE + CUBIC * x * x) --------------------------------------------------
SLOPE, CUBIC = 1.5957691216057308, 0.07135481627260025
#: Both coefficients, split into a number with few digits, whose products with small integers are exact, and a rest.
ROUND_SLOPE, MORE_SLOPE = 104580 / 65536, 4.96144948071176e-06
ROUND_CUBIC, MORE_CUBIC = 4676 / 65536, 4.718616350248776e-06
#: ``exp(-w)`` is 0 in float64 here.
LAST_CUBIC = 22.0


def _cubic_decay(xp: Namespace, x: Array) -> Array:
    """``exp(-abs(w))``. As in `gaussian`, most of the exponent is exact: the part for the integer nearest to x."""
    y = xp.clip(xp.abs(x), None, LAST_CUBIC)
    n = xp.round(y)
    cube, rest = n * n * n, y - n
    left = MORE_SLOPE * n + MORE_CUBIC * cube + rest * (SLOPE + CUBIC * (y * y + y * n + n * n))
    return xp.exp_of_sum(-(ROUND_SLOPE * n + ROUND_CUBIC * cube), -left)


def gelu_tanh(xp: Namespace, x: Array) -> Array:
    """``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``."""
    e = _cubic_decay(xp, x)
    return xp.where(x < 0, xp.clip(x, -LAST_CUBIC, 0.0) * e, x) / (1 + e)


def gelu_tanh_grad(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of `gelu_tanh`: ``g * (s + x * s * (1 - s) * dw/dx)`` for s = sigmoid(w)."""
    e, y = _cubic_decay(xp, x), xp.clip(x, -LAST_CUBIC, LAST_CUBIC)
    b, rise = 1 + e, y * (SLOPE + (3 * CUBIC) * (y * y))
    return g * (xp.where(x < 0, e * (b + rise), b + e * rise) / (b * b))


def gelu_tanh_gate_grad(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of the gate ``s = sigmoid(w)`` in w: ``g * s * (1 - s)``."""
    e = _cubic_decay(xp, x)
    return g * (e / ((1 + e) * (1 + e)))


def relu(xp: Namespace, x: Array) -> Array:
    """``max(x, 0)``."""
    return xp.maximum(x, xp.zeros_like(x))


def relu_grad(xp: Namespace, g: Array, out: Array) -> Array:
    """``g`` where the output of `relu` is positive or nan, and 0 elsewhere."""
    return xp.where(out <= 0, xp.zeros_like(g), g)


def prelu_slope(xp: Namespace, x: Array, weight: Array) -> Array:
    """What PReLU multiplies x by: 1 above 0, and the weight elsewhere."""
    return xp.where(x > 0, xp.ones_like(x), weight)


# -- sigmoid, SiLU and Mish --------------------------------------------------------------------------------------------
def _half_decay(xp: Namespace, x: Array) -> Array:
    """``exp(-abs(x) / 2)``."""
    return xp.exp(-0.5 * xp.abs(x))


def sigmoid(xp: Namespace, x: Array) -> Array:
    """``1 / (1 + exp(-x))``, computed from ``exp(-abs(x))``, so that nothing overflows. A complex x is replaced by
    ``-x`` first if its real part is positive.
    """
    if xp.isdtype(x.dtype, "complex floating"):
        above = xp.real(x) >= 0
        e = xp.exp(xp.where(above, -x, x))
    else:
        above = x >= 0
        e = xp.exp(-xp.abs(x))
    return xp.where(above, xp.ones_like(e), e) / (1 + e)


def sigmoid_grad(xp: Namespace, g: Array, x: Array) -> Array:
    """``g * s * (1 - s)`` for s = sigmoid(x), computed from ``exp(-abs(x))``: far from 0, one of s and 1 - s
    loses its digits.
    """
    if _complex(xp, x):
        e = xp.exp(xp.where(xp.real(x) > 0, -x, x))
        return g * xp.conj(e / ((1 + e) * (1 + e)))
    h = _half_decay(xp, x)
    b = 1 + h * h
    return g * h * (h / (b * b))


def silu(xp: Namespace, x: Array) -> Array:
    """``x * sigmoid(x)``; 0, the limit, at -inf."""
    h = _half_decay(xp, x)
    return xp.where(x < 0, xp.clip(x, -FAR, 0.0) * h * h, x) / (1 + h * h)


def silu_grad(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of `silu`: ``g * s * (1 + x * (1 - s))`` for s = sigmoid(x)."""
    h, y = _half_decay(xp, x), xp.clip(x, -FAR, FAR)
    e = h * h
    b = 1 + e
    return g * (xp.where(x < 0, h * (h * (b + y)), b + y * e) / (b * b))


def _mish_parts(xp: Namespace, x: Array) -> tuple[Array, Array, Array]:
    """``exp(-abs(x) / 2)``, its square d, and a denominator. ``tanh(softplus(x))`` is ``d * (d + 2)`` over it below 0,
    and ``1 + 2 * d`` over it above.
    """
    h = _half_decay(xp, x)
    d = h * h
    return h, d, xp.where(x < 0, d * (d + 2) + 2, 2 * (d * (d + 1)) + 1)


def mish(xp: Namespace, x: Array) -> Array:
    """``x * tanh(softplus(x))``; 0, the limit, at -inf."""
    h, d, denominator = _mish_parts(xp, x)
    return xp.where(x < 0, xp.clip(x, -FAR, 0.0) * h * (h * (d + 2)), x * (1 + 2 * d)) / denominator


def mish_grad(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of `mish`: ``g * (t + x * dt/dx)`` for t = tanh(softplus(x))."""
    h, d, denominator = _mish_parts(xp, x)
    y = xp.clip(x, -FAR, FAR)
    below = h * (h * ((d + 2) * denominator + 4 * (y * (1 + d))))
    above = (1 + 2 * d) * denominator + 4 * (y * d * (d * (1 + d)))
    return g * (xp.where(x < 0, below, above) / (denominator * denominator))


def tanh_softplus(xp: Namespace, x: Array) -> Array:
    """``tanh(log(1 + exp(x)))``."""
    _, d, denominator = _mish_parts(xp, x)
    return xp.where(x < 0, d * (d + 2), 1 + 2 * d) / denominator


def tanh_softplus_grad(xp: Namespace, g: Array, x: Array) -> Array:
    """The gradient of `tanh_softplus`."""
    h, d, denominator = _mish_parts(xp, x)
    u = xp.where(x < 0, h, d)
    return g * u * (u * (4 * (1 + d)) / (denominator * denominator))


# x - tanh(x) is (x * cosh(x) - sinh(x)) / cosh(x), both by their series, whose terms are all positive.
_TERMS = range(9, -1, -1)
_TOP = tuple(2 * (k + 1) / factorial(2 * k + 3) for k in _TERMS)
_COSH = tuple(1 / factorial(2 * k) for k in _TERMS)


def tanhshrink(xp: Namespace, x: Array) -> Array:
    """``x - tanh(x)``; near 0, where the subtraction would lose digits, by the series."""
    if _complex(xp, x):
        return x - xp.tanh(x)
    near = xp.abs(x) < 1
    s = xp.where(near, x, xp.zeros_like(x))
    z = s * s
    return xp.where(near, s * (z * (_polynomial(z, _TOP) / _polynomial(z, _COSH))), x - xp.tanh(x))
