"""Smooth activations, in pieces that stay in the processor's cache: the plain versions, but for the error function."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

import numpy
from numpy import add, divide, exp, maximum, multiply, ndarray, subtract

from ..kernels import activation as plain_versions
from ..kernels.activation import (
    BEYOND,
    BREAK,
    CUBIC,
    DENSITY,
    FEW_CUBIC,
    FEW_SLOPE,
    LAST,
    MORE_CUBIC,
    MORE_SLOPE,
    NEAR,
    SLOPE,
    SMALL,
    TAIL,
)
from ..threads import BLOCK, PASS, in_blocks
from .constants import BITS

Array = ndarray
#: Elements of a piece: a handful of temporaries of this size fit the second-level cache; with smaller ones, the calls
#: take longer.
PIECE = 1 << 15

#: As NEAR, for all x of float32 in [-4, 4], where erf reaches 1. Source: Eigen's (and XLA's) rational minimax
#: approximation.
SINGLE = (
    (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
     -2.95459980854025e-03, -1.60960333262415e-02),
    (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02),
)  # fmt: skip


def _polynomial(x: Array, row: tuple[float, ...]) -> Array:
    out = multiply(x, row[0])
    for a in row[1:-1]:
        add(out, a, out)
        multiply(out, x, out)
    return add(out, row[-1], out)


def _ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    top = _polynomial(x, coefficients[0])
    return divide(top, _polynomial(x, coefficients[1]), top)


def _erf(x: Array) -> Array:
    """Of one piece, in float32 or float64."""
    if x.itemsize == 4:
        x = numpy.clip(x, -4, 4)
        out = _ratio(x * x, SINGLE)
        return numpy.clip(multiply(out, x, out), -1, 1, out)
    size = numpy.abs(x)
    near = size <= BREAK
    large = numpy.clip(size, BREAK, LAST)
    out = multiply(large, large)
    numpy.exp(numpy.negative(out, out), out)
    multiply(out, _ratio(large, BEYOND), out)
    numpy.copysign(numpy.subtract(1, out, out), x, out)
    small = x[near]
    out[near] = small * _ratio(small * small, NEAR)
    return out


def _clip(x: Array, low: float, high: float | None) -> Array:
    """numpy.clip, but sooner there."""
    out = numpy.maximum(x, low)
    return out if high is None else numpy.minimum(out, high, out=out)


#: What the plain versions need of a namespace, for real numbers in one dimension.
_XP = SimpleNamespace(
    abs=numpy.abs,
    clip=_clip,
    exp=numpy.exp,
    isdtype=lambda dtype, kind: False,
    ones_like=numpy.ones_like,
    round=numpy.rint,
    tanh=numpy.tanh,
    where=numpy.where,
    zeros_like=numpy.zeros_like,
)


def _in_pieces(function: Callable[..., Array], *given: Array) -> Array:
    """``function`` of flat pieces of arrays of one shape and dtype, put together."""
    shape = given[0].shape
    flat = [x.reshape(-1) for x in given]
    if flat[0].size <= PIECE:
        return function(*flat).reshape(shape) if flat[0].size else numpy.empty(shape, flat[0].dtype)
    out = numpy.empty(flat[0].shape, flat[0].dtype)
    for i in range(0, out.size, PIECE):
        out[i : i + PIECE] = function(*[x[i : i + PIECE] for x in flat])
    return out.reshape(shape)


# -- of numbers that are neither large nor tiny: few passes, and none that chooses -------------------------------------
def _sigmoid(x: Array) -> Array:
    out = numpy.negative(x)
    return numpy.reciprocal(add(exp(out, out), 1, out), out)


def _sigmoid_and_rest(x: Array) -> tuple[Array, Array]:
    """``s = 1 / (1 + e)`` and ``1 - s = e * s`` for e = exp(-x)."""
    e = numpy.negative(x)
    s = add(exp(e, e), 1)
    return numpy.reciprocal(s, s), multiply(e, s, e)


def _sigmoid_grad(g: Array, x: Array) -> Array:
    s, rest = _sigmoid_and_rest(x)
    return multiply(multiply(s, rest, s), g, s)


def _silu(x: Array) -> Array:
    out = numpy.negative(x)
    return divide(x, add(exp(out, out), 1, out), out)


def _silu_grad(g: Array, x: Array) -> Array:
    s, rest = _sigmoid_and_rest(x)
    add(multiply(rest, x, rest), 1, rest)
    return multiply(multiply(s, rest, s), g, s)


def _mish(x: Array) -> Array:
    e = exp(x)
    n = multiply(add(e, 2), e, e)  # tanh(softplus(x)) is n / (n + 2)
    bottom = add(n, 2)
    return divide(multiply(n, x, n), bottom, n)


def _mish_grad(g: Array, x: Array) -> Array:
    e = exp(x)
    n = multiply(add(e, 2), e)
    bottom = add(n, 2)
    multiply(n, bottom, n)
    part = multiply(add(e, 1), e, e)
    multiply(multiply(part, x, part), 4, part)
    add(n, part, n)
    return multiply(divide(n, multiply(bottom, bottom, bottom), n), g, n)


def _bell(x: Array) -> Array:
    """``exp(-x * x / 2)`` for small x."""
    out = multiply(x, x)
    return exp(multiply(out, -0.5, out), out)


def _far_bell(x: Array) -> Array:
    """The same for all x, as the plain version `gaussian` has it."""
    coarse = multiply(x, 16)
    multiply(numpy.rint(coarse, coarse), 1 / 16, coarse)
    rest = subtract(x, coarse)
    multiply(rest, add(x, coarse), rest)
    exp(multiply(rest, -0.5, rest), rest)
    multiply(coarse, coarse, coarse)
    exp(multiply(coarse, -0.5, coarse), coarse)
    return multiply(coarse, rest, coarse)


#: ``exp(t * t / 2) * P(X <= -t)`` for a normal X and t from 0 to 4.6, as precise as float32: a fit with the least
#: largest error.
SINGLE_TAIL = (
    (0.012527045936977312, 0.0992961560663268, 0.3245263820367411, 0.49999998727753153),
    (0.03143197859249081, 0.24815018840742106, 0.8530971300581294, 1.4469356789058283, 1.0),
)
#: `TAIL` as precise as float32.
SHORT_TAIL = (
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


def _gelu(x: Array) -> Array:
    if x.itemsize == 8:
        return _far_gelu(x)
    t = numpy.abs(x)
    return _gelu_of(x, t, multiply(_ratio(t, SINGLE_TAIL), _bell(x)))


def _far_gelu(x: Array) -> Array:
    t = numpy.abs(x)
    part = subtract(t, 3.75)
    divide(part, add(t, 3.75), part)
    chance = _polynomial(part, TAIL if x.itemsize == 8 else SHORT_TAIL)
    divide(chance, add(t, 1, part), chance)
    return _gelu_of(x, t, multiply(chance, _far_bell(x), chance))


def _gelu_of(x: Array, t: Array, chance: Array) -> Array:
    """``max(x, 0) - t * chance`` for t = abs(x), which is written over, as ``chance`` is."""
    multiply(chance, t, chance)
    return subtract(multiply(add(x, t, t), 0.5, t), chance, t)


def _gelu_grad(g: Array, x: Array, y: Array, bell: Callable[[Array], Array] = _bell) -> Array:
    if numpy.minimum.reduce(numpy.abs(x)) < SMALL:
        return plain_versions.gelu_grad(_XP, g, x, y)
    out = bell(x)
    multiply(multiply(out, DENSITY, out), x, out)
    return multiply(add(out, divide(y, x), out), g, out)


def _cubic_decay(x: Array) -> Array:
    """``exp(-w)``; see the plain version."""
    out = multiply(x, x)
    multiply(out, -CUBIC, out)
    subtract(out, SLOPE, out)
    return exp(multiply(out, x, out), out)


def _far_cubic_decay(x: Array) -> Array:
    n = numpy.rint(x)
    square = multiply(n, n)
    left = add(x, n)
    add(multiply(left, x, left), square, left)
    add(multiply(left, CUBIC, left), SLOPE, left)
    multiply(left, subtract(x, n), left)
    cube = multiply(square, n, square)
    main = add(multiply(cube, FEW_CUBIC), multiply(n, FEW_SLOPE))
    exp(numpy.negative(main, main), main)
    add(left, multiply(cube, MORE_CUBIC, cube), left)
    add(left, multiply(n, MORE_SLOPE, n), left)
    return multiply(main, exp(numpy.negative(left, left), left), main)


def _gelu_tanh(x: Array, decay: Callable[[Array], Array] = _cubic_decay) -> Array:
    out = decay(x)
    return divide(x, add(out, 1, out), out)


def _gelu_tanh_grad(g: Array, x: Array, decay: Callable[[Array], Array] = _cubic_decay) -> Array:
    e = decay(x)
    s = add(e, 1)
    numpy.reciprocal(s, s)
    multiply(e, s, e)  # 1 - s
    slope = multiply(x, x)
    add(multiply(slope, 3 * CUBIC, slope), SLOPE, slope)
    multiply(multiply(e, slope, e), x, e)
    add(e, 1, e)
    return multiply(multiply(e, s, e), g, e)


#: Name -> versions, each for arguments between two bounds, where nothing overflows. In the first ones, rounding the
#: argument of an exponential costs no more than a few units in the last place.
_USUAL: dict[str, list[tuple[Callable[..., Array], float, float]]] = {
    "gelu": [(_gelu, -4.5, 4.5), (_far_gelu, -38.0, 38.0)],
    "gelu_grad": [(_gelu_grad, -4.5, 4.5), (partial(_gelu_grad, bell=_far_bell), -38.0, 38.0)],
    "gelu_tanh": [(_gelu_tanh, -4.5, 4.5), (partial(_gelu_tanh, decay=_far_cubic_decay), -10.0, 10.0)],
    "gelu_tanh_grad": [(_gelu_tanh_grad, -4.5, 4.5), (partial(_gelu_tanh_grad, decay=_far_cubic_decay), -10.0, 10.0)],
    "mish": [(_mish, -20.0, 20.0)],
    "mish_grad": [(_mish_grad, -20.0, 20.0)],
    "sigmoid": [(_sigmoid, -80.0, math.inf)],
    "sigmoid_grad": [(_sigmoid_grad, -80.0, 80.0)],
    "silu": [(_silu, -80.0, math.inf)],
    "silu_grad": [(_silu_grad, -80.0, 80.0)],
}


def _of_piece(name: str, plain: Callable[..., Array], place: int) -> Callable[..., Array]:
    """The version for the numbers of a piece, or else the plain one; ``place`` is that of x among the arguments."""
    bare = partial(plain, _XP)
    if name not in _USUAL:
        return bare
    versions = _USUAL[name]

    def function(*given: Array) -> Array:
        x = given[place]
        least, most = numpy.minimum.reduce(x), numpy.maximum.reduce(x)
        for usual, low, high in versions:
            if low < least and most < high:  # not with a nan
                return usual(*given)
        return bare(*given)

    return function


def _elementwise(name: str, arrays: int, place: int) -> Callable[..., Array]:
    """The function in pieces: of so many arrays that broadcast to the shape of the one at ``place``, and options."""
    plain = getattr(plain_versions, name)
    of_piece = _of_piece(name, plain, place)

    def kernel(*args: Any) -> Array:
        x = args[place]
        if x.dtype.kind != "f":
            return plain(numpy, *args)
        given = [a if a.shape == x.shape else numpy.broadcast_to(a, x.shape) for a in args[:arrays]]
        options = args[arrays:]
        return _in_pieces((lambda *pieces: of_piece(*pieces, *options)) if options else of_piece, *given)

    kernel.__name__ = name
    return kernel


# -- the rectifier -----------------------------------------------------------------------------------------------------
#: Elements of a row of zeros, in the cache next to the processor.
_ROW = 1 << 14


@lru_cache(maxsize=8)
def _zeros(dtype: Any) -> Array:
    return numpy.zeros(_ROW, dtype)


def relu(x: Array) -> Array:
    """With a row of zeros where there is much: ``maximum`` takes two and a half times as long with a scalar."""
    if x.size < 2 * _ROW or x.dtype.kind != "f" or not x.flags.c_contiguous:
        return maximum(x, x.dtype.type(0))
    out, zeros = numpy.empty(x.shape, x.dtype), _zeros(x.dtype)
    values, target, end = x.reshape(-1), out.reshape(-1), x.size // _ROW * _ROW
    maximum(values[:end].reshape(-1, _ROW), zeros, out=target[:end].reshape(-1, _ROW))
    maximum(values[end:], zeros[: x.size - end], out=target[end:])
    return out


def relu_grad(g: Array, out: Array) -> Array:
    """Masks the bits of ``g``: exact for inf and nan, where a product with 0 is not, and an eighth of where's time."""
    bits = BITS.get(g.itemsize) if g.dtype.kind == "f" else None
    if bits is None or g.size < 4096 or g.shape != out.shape:
        return numpy.where(numpy.less_equal(out, 0), g.dtype.type(0), g)
    masked = numpy.empty(g.shape, g.dtype)
    given, target = g.view(bits), masked.view(bits)
    if g.flags.c_contiguous and out.flags.c_contiguous:
        out, given, target = out.reshape(-1), given.reshape(-1), target.reshape(-1)

    def work(start: int, stop: int) -> None:
        drop = numpy.less_equal(out[start:stop], 0).view(numpy.int8)
        keep = subtract(drop, numpy.int8(1), drop).astype(bits)  # 0 to drop, all ones to keep
        numpy.bitwise_and(given[start:stop], keep, target[start:stop])

    in_blocks(len(out), 2 * PASS * g.size, BLOCK * len(out) // g.size or 1, work)
    return masked


def erf(x: Array) -> Array:
    return _in_pieces(_erf, x)


#: Name -> how many arrays, and which of them is x.
_ARRAYS = {
    **dict.fromkeys(
        ("gaussian", "gelu", "gelu_tanh", "mish", "sigmoid", "silu", "tanh_softplus", "tanhshrink"), (1, 0)
    ),
    **dict.fromkeys(
        ("gelu_tanh_gate_grad", "gelu_tanh_grad", "mish_grad", "sigmoid_grad", "silu_grad", "tanh_softplus_grad"),
        (2, 1),
    ),
    "gelu_grad": (3, 1),
}
OVERRIDES: dict[str, Callable[..., Any]] = {
    "erf": erf,
    "relu": relu,
    "relu_grad": relu_grad,
    **{name: _elementwise(name, *which) for name, which in _ARRAYS.items()},
}
