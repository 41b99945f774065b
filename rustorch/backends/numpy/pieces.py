"""Elementwise functions of NumPy, piece by piece: their temporaries stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, divide, multiply

from ..kernels import activation as plain

if TYPE_CHECKING:
    from ..base import Array

#: Elements in a piece. Some temporaries of this size fit into the second-level cache; with smaller pieces, the calls
#: would take longer than the computation.
PIECE = 1 << 15


def _clip(x: Array, min: float | None = None, max: float | None = None) -> Array:
    """`numpy.clip` with less work before the loop starts."""
    out = x if min is None else numpy.maximum(x, min)
    return out if max is None else numpy.minimum(out, max, out=None if out is x else out)


#: The functions of a namespace that the plain versions of activations call, for one-dimensional arrays of real numbers.
PLAIN_XP: Any = SimpleNamespace(
    abs=numpy.abs,
    clip=_clip,
    exp=numpy.exp,
    exp_of_sum=lambda x, rest: plain.exp_of_sum(PLAIN_XP, x, rest),
    float64=numpy.float64,
    gelu_tail=lambda x: plain.gelu_tail(PLAIN_XP, x),
    isdtype=lambda dtype, kind: False,
    ones_like=numpy.ones_like,
    round=numpy.rint,
    tanh=numpy.tanh,
    where=numpy.where,
    zeros_like=numpy.zeros_like,
)


def _by_pieces(function: Callable[..., Array], *arrays: Array) -> Array:
    """``function`` of each piece of flattened arrays of one shape and dtype; the results in this shape."""
    shape = arrays[0].shape
    flat = [x.reshape(-1) for x in arrays]
    if flat[0].size <= PIECE:
        return function(*flat).reshape(shape) if flat[0].size else numpy.empty(shape, flat[0].dtype)
    out = numpy.empty(flat[0].shape, flat[0].dtype)
    for i in range(0, out.size, PIECE):
        out[i : i + PIECE] = function(*[x[i : i + PIECE] for x in flat])
    return out.reshape(shape)


#: A faster formula, and the open interval that all numbers of a piece must lie in.
_Usual = tuple[Callable[..., "Array"], float, float]


def in_pieces(*usual: _Usual, numbers: int = 0) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Make a kernel of a function of one piece.

    A piece whose values of ``x`` lie in the interval of one of the formulas ``usual`` is computed by the first such
    formula, and any other piece by the function itself. The kernel's last ``numbers`` parameters are numbers; its
    arrays broadcast to the shape of ``x``. Numbers that are not real go through the plain version as a whole.
    """

    def decorate(function: Callable[..., Array]) -> Callable[..., Array]:
        plain_version = getattr(plain, function.__name__)
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        place, count = parameters.index("x"), len(parameters) - numbers

        def of_piece(*args: Any) -> Array:
            x = args[place]
            lowest, highest = numpy.minimum.reduce(x), numpy.maximum.reduce(x)
            for formula, low, high in usual:
                if low < lowest and highest < high:  # false where there is a nan
                    return formula(*args)
            return function(*args)

        compute = of_piece if usual else function

        @wraps(function)
        def kernel(*args: Any) -> Array:
            x = args[place]
            if x.dtype.kind != "f":
                return plain_version(numpy, *args)
            arrays = [a if a.shape == x.shape else numpy.broadcast_to(a, x.shape) for a in args[:count]]
            options = args[count:]
            return _by_pieces((lambda *pieces: compute(*pieces, *options)) if options else compute, *arrays)

        return kernel

    return decorate


def polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    out = multiply(x, coefficients[0])
    for a in coefficients[1:-1]:
        add(out, a, out)
        multiply(out, x, out)
    return add(out, coefficients[-1], out)


def ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    numerator = polynomial(x, coefficients[0])
    return divide(numerator, polynomial(x, coefficients[1]), numerator)
