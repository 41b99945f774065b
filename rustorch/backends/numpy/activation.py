"""NumPy's activations: computed piece by piece, so that all temporaries stay in the processor's cache.

Most of them have faster formulas for the usual range of numbers, where nothing can overflow or be lost; the plain
versions compute the pieces that are not all in this range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, divide, exp, maximum, multiply, subtract

from ..kernels import activation as plain
from ..kernels.activation import (
    CUBIC,
    DENSITY,
    ERF_BREAK,
    ERF_FAR,
    ERF_IS_ONE,
    ERF_NEAR,
    GELU_SHORT_TAIL,
    GELU_TAIL,
    MORE_CUBIC,
    MORE_SLOPE,
    ROUND_CUBIC,
    ROUND_SLOPE,
    SLOPE,
    SMALL,
)
from ..threads import BLOCK, PASS, in_blocks
from .constants import BITS, numbers_of
from .pieces import PLAIN_XP, in_pieces, polynomial, ratio

if TYPE_CHECKING:
    from ..base import Array

#: Elements in a row of zeros, which stays in the nearest cache.
_ROW = 1 << 14


# -- ReLU --------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=8)
def _zeros(dtype: Any) -> Array:
    return numpy.zeros(_ROW, dtype)


def relu(x: Array) -> Array:
    """As the plain version. A large array is compared with a row of zeros: with a scalar, ``maximum`` takes two and a
    half times as long.
    """
    if x.size < 2 * _ROW or x.dtype.kind != "f" or not x.flags.c_contiguous:
        return maximum(x, *numbers_of(x.dtype, 0.0))
    out, zeros = numpy.empty(x.shape, x.dtype), _zeros(x.dtype)
    values, target, end = x.reshape(-1), out.reshape(-1), x.size // _ROW * _ROW
    maximum(values[:end].reshape(-1, _ROW), zeros, out=target[:end].reshape(-1, _ROW))
    maximum(values[end:], zeros[: x.size - end], out=target[end:])
    return out


def relu_grad(g: Array, out: Array) -> Array:
    """As the plain version, by masking the bits of ``g``. That is exact for infinities and nan, where a product with 0
    is not, and takes an eighth of the time of ``where``.
    """
    bits = BITS.get(g.itemsize) if g.dtype.kind == "f" else None
    if bits is None or g.shape != out.shape:
        return numpy.where(numpy.less_equal(out, 0), g.dtype.type(0), g)
    if g.size < 4096:  # in half of the time of ``where``, if there are few elements
        (zero,) = numbers_of(g.dtype, 0.0)
        gradient = g.copy()
        numpy.putmask(gradient, numpy.less_equal(out, zero), zero)
        return gradient
    masked = numpy.empty(g.shape, g.dtype)
    source, target = g.view(bits), masked.view(bits)
    if g.flags.c_contiguous and out.flags.c_contiguous:
        out, source, target = out.reshape(-1), source.reshape(-1), target.reshape(-1)

    def work(start: int, stop: int) -> None:
        drop = numpy.less_equal(out[start:stop], 0).view(numpy.int8)
        keep = subtract(drop, numpy.int8(1), drop).astype(bits)  # all bits are 0 where g is dropped, else 1
        numpy.bitwise_and(source[start:stop], keep, target[start:stop])

    in_blocks(len(out), 2 * PASS * g.size, BLOCK * len(out) // g.size or 1, work)
    return masked


# -- the error function ------------------------------------------------------------------------------------------------
#: As ERF_NEAR, for float32 and all x in [-4, 4], where erf reaches 1. Source: the rational minimax approximation of
#: Eigen and XLA.
ERF_SINGLE = (
    (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
     -2.95459980854025e-03, -1.60960333262415e-02),
    (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02),
)  # fmt: skip


@in_pieces()
def erf(x: Array) -> Array:
    """In float32 by one polynomial over another, and in float64 as the plain version."""
    if x.itemsize == 4:
        x = numpy.clip(x, -4, 4)
        out = ratio(x * x, ERF_SINGLE)
        return numpy.clip(multiply(out, x, out), -1, 1, out)
    size = numpy.abs(x)
    near = size <= ERF_BREAK
    large = numpy.clip(size, ERF_BREAK, ERF_IS_ONE)
    out = multiply(large, large)
    exp(numpy.negative(out, out), out)
    multiply(out, ratio(large, ERF_FAR), out)
    numpy.copysign(subtract(1, out, out), x, out)
    small = x[near]
    out[near] = small * ratio(small * small, ERF_NEAR)
    return out


# -- sigmoid, SiLU and Mish --------------------------------------------------------------------------------------------
def _usual_sigmoid(x: Array) -> Array:
    out = numpy.negative(x)
    return numpy.reciprocal(add(exp(out, out), 1, out), out)


@in_pieces((_usual_sigmoid, -80.0, math.inf))
def sigmoid(x: Array) -> Array:
    return plain.sigmoid(PLAIN_XP, x)


def _sigmoid_and_rest(x: Array) -> tuple[Array, Array]:
    """``s = 1 / (1 + e)`` and ``1 - s = e * s`` for e = exp(-x)."""
    e = numpy.negative(x)
    s = add(exp(e, e), 1)
    return numpy.reciprocal(s, s), multiply(e, s, e)


def _usual_sigmoid_grad(g: Array, x: Array) -> Array:
    s, rest = _sigmoid_and_rest(x)
    return multiply(multiply(s, rest, s), g, s)


@in_pieces((_usual_sigmoid_grad, -80.0, 80.0))
def sigmoid_grad(g: Array, x: Array) -> Array:
    return plain.sigmoid_grad(PLAIN_XP, g, x)


def _usual_silu(x: Array) -> Array:
    out = numpy.negative(x)
    return divide(x, add(exp(out, out), 1, out), out)


@in_pieces((_usual_silu, -80.0, math.inf))
def silu(x: Array) -> Array:
    return plain.silu(PLAIN_XP, x)


def _usual_silu_grad(g: Array, x: Array) -> Array:
    s, rest = _sigmoid_and_rest(x)
    add(multiply(rest, x, rest), 1, rest)
    return multiply(multiply(s, rest, s), g, s)


@in_pieces((_usual_silu_grad, -80.0, 80.0))
def silu_grad(g: Array, x: Array) -> Array:
    return plain.silu_grad(PLAIN_XP, g, x)


def _usual_mish(x: Array) -> Array:
    e = exp(x)
    n = multiply(add(e, 2), e, e)  # tanh(softplus(x)) is n / (n + 2)
    denominator = add(n, 2)
    return divide(multiply(n, x, n), denominator, n)


@in_pieces((_usual_mish, -20.0, 20.0))
def mish(x: Array) -> Array:
    return plain.mish(PLAIN_XP, x)


def _usual_mish_grad(g: Array, x: Array) -> Array:
    e = exp(x)
    n = multiply(add(e, 2), e)
    denominator = add(n, 2)
    multiply(n, denominator, n)
    part = multiply(add(e, 1), e, e)
    multiply(multiply(part, x, part), 4, part)
    add(n, part, n)
    return multiply(divide(n, multiply(denominator, denominator, denominator), n), g, n)


@in_pieces((_usual_mish_grad, -20.0, 20.0))
def mish_grad(g: Array, x: Array) -> Array:
    return plain.mish_grad(PLAIN_XP, g, x)


@in_pieces()
def tanh_softplus(x: Array) -> Array:
    return plain.tanh_softplus(PLAIN_XP, x)


@in_pieces()
def tanh_softplus_grad(g: Array, x: Array) -> Array:
    return plain.tanh_softplus_grad(PLAIN_XP, g, x)


@in_pieces()
def tanhshrink(x: Array) -> Array:
    return plain.tanhshrink(PLAIN_XP, x)


# -- GELU --------------------------------------------------------------------------------------------------------------
@in_pieces(numbers=1)
def gaussian(x: Array, rate: float) -> Array:
    return plain.gaussian(PLAIN_XP, x, rate)


def _near_bell(x: Array) -> Array:
    """``exp(-x * x / 2)`` for small x, where rounding the exponent costs only a few units in the last place."""
    out = multiply(x, x)
    return exp(multiply(out, -0.5, out), out)


def _far_bell(x: Array) -> Array:
    """``exp(-x * x / 2)`` for all x, by the formula of the plain version `gaussian`."""
    coarse = multiply(x, 16)
    multiply(numpy.rint(coarse, coarse), 1 / 16, coarse)
    rest = subtract(x, coarse)
    multiply(rest, add(x, coarse), rest)
    exp(multiply(rest, -0.5, rest), rest)
    multiply(coarse, coarse, coarse)
    exp(multiply(coarse, -0.5, coarse), coarse)
    return multiply(coarse, rest, coarse)


#: ``exp(t * t / 2) * P(X <= -t)`` for a normal X and t from 0 to 4.6, to float32's precision: the rational function
#: with the smallest largest error.
GELU_SINGLE_TAIL = (
    (0.012527045936977312, 0.0992961560663268, 0.3245263820367411, 0.49999998727753153),
    (0.03143197859249081, 0.24815018840742106, 0.8530971300581294, 1.4469356789058283, 1.0),
)


def _near_gelu(x: Array) -> Array:
    if x.itemsize == 8:
        return _far_gelu(x)
    t = numpy.abs(x)
    return _gelu_of(x, t, multiply(ratio(t, GELU_SINGLE_TAIL), _near_bell(x)))


def _far_gelu(x: Array) -> Array:
    t = numpy.abs(x)
    part = subtract(t, 3.75)
    divide(part, add(t, 3.75), part)
    probability = polynomial(part, GELU_TAIL if x.itemsize == 8 else GELU_SHORT_TAIL)
    divide(probability, add(t, 1, part), probability)
    return _gelu_of(x, t, multiply(probability, _far_bell(x), probability))


def _gelu_of(x: Array, t: Array, probability: Array) -> Array:
    """``max(x, 0) - t * P(X <= -t)`` for t = abs(x). It overwrites ``t`` and the probability."""
    multiply(probability, t, probability)
    return subtract(multiply(add(x, t, t), 0.5, t), probability, t)


@in_pieces((_near_gelu, -4.5, 4.5), (_far_gelu, -38.0, 38.0))
def gelu(x: Array) -> Array:
    return plain.gelu(PLAIN_XP, x)


def _near_gelu_grad(g: Array, x: Array, out: Array) -> Array:
    return _usual_gelu_grad(g, x, out, _near_bell)


def _far_gelu_grad(g: Array, x: Array, out: Array) -> Array:
    return _usual_gelu_grad(g, x, out, _far_bell)


def _usual_gelu_grad(g: Array, x: Array, out: Array, bell: Callable[[Array], Array]) -> Array:
    if numpy.minimum.reduce(numpy.abs(x)) < SMALL:
        return plain.gelu_grad(PLAIN_XP, g, x, out)
    slope = bell(x)
    multiply(multiply(slope, DENSITY, slope), x, slope)
    return multiply(add(slope, divide(out, x), slope), g, slope)


@in_pieces((_near_gelu_grad, -4.5, 4.5), (_far_gelu_grad, -38.0, 38.0))
def gelu_grad(g: Array, x: Array, out: Array) -> Array:
    return plain.gelu_grad(PLAIN_XP, g, x, out)


# -- GELU by tanh ------------------------------------------------------------------------------------------------------
def _near_cubic_decay(x: Array) -> Array:
    """``exp(-w)``, where w is the cubic polynomial of x that the plain version names."""
    out = multiply(x, x)
    multiply(out, -CUBIC, out)
    subtract(out, SLOPE, out)
    return exp(multiply(out, x, out), out)


def _far_cubic_decay(x: Array) -> Array:
    """``exp(-w)`` for all x, by the formula of the plain version."""
    n = numpy.rint(x)
    square = multiply(n, n)
    rest = add(x, n)
    add(multiply(rest, x, rest), square, rest)
    add(multiply(rest, CUBIC, rest), SLOPE, rest)
    multiply(rest, subtract(x, n), rest)
    cube = multiply(square, n, square)
    main = add(multiply(cube, ROUND_CUBIC), multiply(n, ROUND_SLOPE))
    exp(numpy.negative(main, main), main)
    add(rest, multiply(cube, MORE_CUBIC, cube), rest)
    add(rest, multiply(n, MORE_SLOPE, n), rest)
    return multiply(main, exp(numpy.negative(rest, rest), rest), main)


def _gelu_tanh_of(x: Array, decay: Array) -> Array:
    return divide(x, add(decay, 1, decay), decay)


def _near_gelu_tanh(x: Array) -> Array:
    return _gelu_tanh_of(x, _near_cubic_decay(x))


def _far_gelu_tanh(x: Array) -> Array:
    return _gelu_tanh_of(x, _far_cubic_decay(x))


@in_pieces((_near_gelu_tanh, -4.5, 4.5), (_far_gelu_tanh, -10.0, 10.0))
def gelu_tanh(x: Array) -> Array:
    return plain.gelu_tanh(PLAIN_XP, x)


def _gelu_tanh_grad_of(g: Array, x: Array, e: Array) -> Array:
    s = add(e, 1)
    numpy.reciprocal(s, s)
    multiply(e, s, e)  # 1 - s
    slope = multiply(x, x)
    add(multiply(slope, 3 * CUBIC, slope), SLOPE, slope)
    multiply(multiply(e, slope, e), x, e)
    add(e, 1, e)
    return multiply(multiply(e, s, e), g, e)


def _near_gelu_tanh_grad(g: Array, x: Array) -> Array:
    return _gelu_tanh_grad_of(g, x, _near_cubic_decay(x))


def _far_gelu_tanh_grad(g: Array, x: Array) -> Array:
    return _gelu_tanh_grad_of(g, x, _far_cubic_decay(x))


@in_pieces((_near_gelu_tanh_grad, -4.5, 4.5), (_far_gelu_tanh_grad, -10.0, 10.0))
def gelu_tanh_grad(g: Array, x: Array) -> Array:
    return plain.gelu_tanh_grad(PLAIN_XP, g, x)


@in_pieces()
def gelu_tanh_gate_grad(g: Array, x: Array) -> Array:
    return plain.gelu_tanh_gate_grad(PLAIN_XP, g, x)


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(relu, relu_grad, erf, sigmoid, sigmoid_grad, silu, silu_grad, mish, mish_grad),
        *(tanh_softplus, tanh_softplus_grad, tanhshrink, gaussian, gelu, gelu_grad),
        *(gelu_tanh, gelu_tanh_grad, gelu_tanh_gate_grad),
    )
}
