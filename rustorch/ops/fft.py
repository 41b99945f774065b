"""The extension ``fft``: discrete Fourier transforms. They are linear: the rule of each is its adjoint transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from ..autograd.primitive import Primitive
from ..backends import dtypes
from .arguments import axes_of, integer, one_axis
from .complex_numbers import is_complex
from .creation import arange, zeros
from .data_type import astype
from .elementwise import conj, real
from .joining import concat
from .manipulation import roll

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Axes, DTypeLike, Namespace
    from ..variable import Variable

__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
]  # fmt: skip

#: For each normalization of a transform, the one with which the inverse transform is its adjoint.
_ADJOINT = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _weighted(xp: Namespace, x: Array, axis: int, n: int, factor: float) -> Array:
    """Half of a spectrum of n points, with the elements that have a mirror image multiplied by ``factor``."""
    inner = (n - 1) // 2  # The first element has no mirror image, and the last one of an even number has none.
    parts = [xp.ones_like(x[(slice(None),) * axis + (slice(0, 1), ...)])]
    if inner:
        parts.append(factor * xp.ones_like(x[(slice(None),) * axis + (slice(1, 1 + inner), ...)]))
    if n % 2 == 0:
        parts.append(parts[0])
    return x * xp.concat(parts, axis=axis)


_fft = Primitive(
    "fft",
    lambda xp, x, /, axis, norm: xp.fft.fft(x, axis=axis, norm=norm),
    x=lambda xp, g, axis, norm: xp.fft.ifft(g, axis=axis, norm=_ADJOINT[norm]),
)
_ifft = Primitive(
    "ifft",
    lambda xp, x, /, axis, norm: xp.fft.ifft(x, axis=axis, norm=norm),
    x=lambda xp, g, axis, norm: xp.fft.fft(g, axis=axis, norm=_ADJOINT[norm]),
)
_rfft = Primitive(
    "rfft",
    lambda xp, x, /, n, axis, norm: xp.fft.rfft(x, axis=axis, norm=norm),
    x=lambda xp, g, n, axis, norm: xp.fft.irfft(_weighted(xp, g, axis, n, 0.5), n=n, axis=axis, norm=_ADJOINT[norm]),
)
_irfft = Primitive(
    "irfft",
    lambda xp, x, /, n, axis, norm: xp.fft.irfft(x, n=n, axis=axis, norm=norm),
    x=lambda xp, g, n, axis, norm: _weighted(xp, xp.fft.rfft(g, axis=axis, norm=_ADJOINT[norm]), axis, n, 2.0),
)


# -- arguments ---------------------------------------------------------------------------------------------------------
def _floating_of(x: ArrayLike, name: str, norm: str, only_real: bool = False) -> Variable:
    """The argument ``x`` of the transform ``name`` as a Variable of floating-point numbers."""
    x = adopt(x, name)
    if norm not in _ADJOINT:
        raise ValueError(f"{name}: norm is 'backward', 'ortho' or 'forward', not {norm!r}")
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")
    if only_real and is_complex(x):
        raise TypeError(
            f"{name} is of real arrays, not {x.dtype}; use {name.replace('rfft', 'fft').replace('ihfft', 'ifft')}"
        )
    if x.ndim == 0:
        raise ValueError(f"{name}: an array without dimensions has no axis to transform along")
    return x


def _complex(x: Variable) -> Variable:
    return x if is_complex(x) else astype(x, dtypes.complex64 if x.dtype == dtypes.float32 else dtypes.complex128)


def _points(name: str, n: Any) -> int:
    points = integer(name, "n", n)
    if points < 1:
        raise ValueError(f"{name}: a transform has at least one point, not {points}")
    return points


def _resized(x: Variable, n: int, axis: int) -> Variable:
    """The first n elements along an axis, followed by zeros if there are fewer."""
    size = x.shape[axis]
    if n < size:
        return x[(slice(None),) * axis + (slice(0, n), ...)]
    if n == size:
        return x
    return concat(
        [x, zeros((*x.shape[:axis], n - size, *x.shape[axis + 1 :]), dtype=x.dtype, device=x.device)], axis=axis
    )


def _sizes(x: Variable, name: str, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int, int | None]]:
    """The pairs (axis, number of points or None) of a transform along several axes."""
    if axes is None:
        chosen = tuple(range(x.ndim)) if s is None else tuple(range(x.ndim - len(s), x.ndim))
    else:
        chosen = axes_of(tuple(axes), x.ndim)
    if s is not None and (len(s) != len(chosen) or min(chosen, default=0) < 0):
        raise ValueError(f"{name}: s has {len(s)} sizes for {len(chosen)} axes of the shape {x.shape}")
    if not chosen:
        raise ValueError(f"{name} needs at least one axis")
    points = [None] * len(chosen) if s is None else [None if n == -1 else _points(name, n) for n in s]
    return list(zip(chosen, points, strict=True))


def _along(primitive: Primitive, name: str, x: Variable, n: int | None, axis: int, norm: str) -> Variable:
    """A complex transform along one axis."""
    x, axis = _complex(x), one_axis(axis, x.ndim)
    x = _resized(x, _points(name, x.shape[axis] if n is None else n), axis)
    return primitive(x, axis, norm) if x.size else x  # some libraries do not transform arrays without elements


def _real(name: str, x: Variable, n: int | None, axis: int, norm: str) -> Variable:
    axis = one_axis(axis, x.ndim)
    n = _points(name, x.shape[axis] if n is None else n)
    return _rfft(_resized(x, n, axis), n, axis, norm) if x.size else _complex(_resized(x, n // 2 + 1, axis))


def _to_real(name: str, x: Variable, n: int | None, axis: int, norm: str) -> Variable:
    x, axis = _complex(x), one_axis(axis, x.ndim)
    n = _points(name, 2 * (x.shape[axis] - 1) if n is None else n)
    return _irfft(_resized(x, n // 2 + 1, axis), n, axis, norm) if x.size else real(_resized(x, n, axis))


# -- transforms --------------------------------------------------------------------------------------------------------
def fft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The Fourier transform along an axis: element k is the sum over j of ``x[j] * exp(-2 pi i j k / n)``.

    Parameters
    ----------
    x : Variable or array
        Complex or real. A real array is converted.
    n : int, optional
        The number of points. A longer array is cut, and zeros are appended to a shorter one. Default: the size along
        the axis.
    axis : int
    norm : {"backward", "ortho", "forward"}
        "backward": the inverse transform divides by n. "ortho": both transforms divide by the square root of n.
        "forward": this transform divides by n.

    Returns
    -------
    Variable
        Complex, with n elements along the axis.

    Raises
    ------
    TypeError
        If ``x`` is not floating-point.
    ValueError
        If n is less than 1, or ``norm`` is none of the three.
    """
    return _along(_fft, "fft", _floating_of(x, "fft", norm), n, axis, norm)


def ifft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The inverse of `fft`; parameters as there."""
    return _along(_ifft, "ifft", _floating_of(x, "ifft", norm), n, axis, norm)


def fftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """`fft` along several axes.

    Parameters
    ----------
    x : Variable or array
    s : sequence of int, optional
        The number of points along each of the axes. -1: the size of the array along the axis.
    axes : sequence of int, optional
        Default: all axes; with ``s``, as many of the last axes as ``s`` has sizes.
    norm : {"backward", "ortho", "forward"}
        As in `fft`.

    Returns
    -------
    Variable
        Complex.
    """
    x = _floating_of(x, "fftn", norm)
    for axis, n in _sizes(x, "fftn", s, axes):
        x = _along(_fft, "fftn", x, n, axis, norm)
    return x


def ifftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """The inverse of `fftn`; parameters as there."""
    x = _floating_of(x, "ifftn", norm)
    for axis, n in _sizes(x, "ifftn", s, axes):
        x = _along(_ifft, "ifftn", x, n, axis, norm)
    return x


def rfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The first n // 2 + 1 elements of `fft` of a real array. The others are their conjugate mirror image."""
    return _real("rfft", _floating_of(x, "rfft", norm, only_real=True), n, axis, norm)


def irfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The inverse of `rfft`: n real elements. The default of n is 2 * (size - 1)."""
    return _to_real("irfft", _floating_of(x, "irfft", norm), n, axis, norm)


def rfftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """`rfft` along the last of several axes, `fft` along the others; parameters as in `fftn`."""
    x = _floating_of(x, "rfftn", norm, only_real=True)
    *others, (last, points) = _sizes(x, "rfftn", s, axes)
    x = _real("rfftn", x, points, last, norm)
    for axis, n in others:
        x = _along(_fft, "rfftn", x, n, axis, norm)
    return x


def irfftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """The inverse of `rfftn`, a real array. The default size of the last axis is 2 * (size - 1)."""
    x = _floating_of(x, "irfftn", norm)
    *others, (last, points) = _sizes(x, "irfftn", s, axes)
    for axis, n in others:
        x = _along(_ifft, "irfftn", x, n, axis, norm)
    return _to_real("irfftn", x, points, last, norm)


def hfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """`fft` of an array whose first half is ``x`` and whose second half mirrors it, conjugated: n real elements."""
    return _to_real("hfft", conj(_complex(_floating_of(x, "hfft", norm))), n, axis, _ADJOINT[norm])


def ihfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The inverse of `hfft`: n // 2 + 1 complex elements of a real array."""
    return conj(_real("ihfft", _floating_of(x, "ihfft", norm, only_real=True), n, axis, _ADJOINT[norm]))


# -- frequencies and order ---------------------------------------------------------------------------------------------
def _frequencies(name: str, k: Variable, n: int, d: float, dtype: DTypeLike) -> Variable:
    dtype = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"{name}: frequencies are of a real floating-point dtype, not {dtype}")
    return astype(k, dtype) / (n * float(d))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """The frequencies of the elements of `fft`: 0, 1, ..., then the negative ones up to -1, divided by ``n * d``."""
    n = _points("fftfreq", n)
    return _frequencies("fftfreq", (arange(n, device=device) + n // 2) % n - n // 2, n, d, dtype)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """The frequencies of the elements of `rfft`: 0, 1, ..., n // 2, divided by ``n * d``."""
    n = _points("rfftfreq", n)
    return _frequencies("rfftfreq", arange(n // 2 + 1, device=device), n, d, dtype)


def fftshift(x: ArrayLike, /, *, axes: Axes = None) -> Variable:
    """Move frequency 0 to the middle of each of the axes. None means all axes."""
    x = adopt(x, "fftshift")
    chosen = axes_of(axes, x.ndim)
    return roll(x, tuple([x.shape[axis] // 2 for axis in chosen]), axis=chosen)


def ifftshift(x: ArrayLike, /, *, axes: Axes = None) -> Variable:
    """The inverse of `fftshift`."""
    x = adopt(x, "ifftshift")
    chosen = axes_of(axes, x.ndim)
    return roll(x, tuple([-(x.shape[axis] // 2) for axis in chosen]), axis=chosen)
