"""NumPy's Fourier transforms: in the precision of the array, and compiled ones where they serve."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy

from ..numba.overrides import either

if TYPE_CHECKING:
    from ..base import Array

#: Elements from which a transform in single precision and another pass take less time than one in double precision.
#: NumPy computes in double precision where the factor is 1. At 512 rows of 2,048 numbers it takes twice as long.
_LEAST = 1 << 12
_SINGLE = {numpy.dtype("float32"), numpy.dtype("complex64")}


def _in_single(transform: Any, x: Array, n: int | None, points: int, axis: int, factor_one: str, norm: str) -> Array:
    """``transform(x)``. If the factor is 1, the transform divides by the number of points, which takes no time, and the
    result is multiplied by it.
    """
    if norm != factor_one or x.size < _LEAST or x.dtype not in _SINGLE:
        return transform(x, n, axis, norm)
    out = transform(x, n, axis, "backward" if norm == "forward" else "forward")
    out *= numpy.float32(points)
    return out


def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _in_single(numpy.fft.fft, x, n, x.shape[axis] if n is None else n, axis, "backward", norm)


def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _in_single(numpy.fft.ifft, x, n, x.shape[axis] if n is None else n, axis, "forward", norm)


def rfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _in_single(numpy.fft.rfft, x, n, x.shape[axis] if n is None else n, axis, "backward", norm)


def irfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _in_single(numpy.fft.irfft, x, n, 2 * (x.shape[axis] - 1) if n is None else n, axis, "forward", norm)


def transforms() -> SimpleNamespace:
    """The functions of ``xp.fft`` that rules call."""
    return SimpleNamespace(**{f.__name__: either(f"fft.{f.__name__}", f) for f in (fft, ifft, rfft, irfft)})
