"""The extension ``fft``: discrete Fourier transforms, which are linear, so that each one's rule is the adjoint
transform.
"""

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

#: The normalization with which the inverse transform is the adjoint.
_ADJOINT = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _weighted(xp: Namespace, x: Array, axis: int, n: int, factor: float) -> Array:
    """Half a spectrum of n points, times ``factor`` where an element stands for its mirror image, too."""
    inner = (n - 1) // 2  # elements with a mirror image; the first has none, nor has the last of an even number
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
def _given(x: ArrayLike, name: str, norm: str, only_real: bool = False) -> Any:
    """The argument as a Variable: real, or complex (a real one is converted)."""
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


def _complex(x: ArrayLike) -> Any:
    return x if is_complex(x) else astype(x, dtypes.complex64 if x.dtype == dtypes.float32 else dtypes.complex128)


def _points(name: str, n: Any) -> int:
    n = integer(name, "n", n)
    if n < 1:
        raise ValueError(f"{name}: a transform has at least one point, not {n}")
    return n


def _resized(x: ArrayLike, n: int, axis: int) -> Any:
    """The first n elements along an axis, with zeros after them if there are fewer."""
    size = x.shape[axis]
    if n < size:
        return x[(slice(None),) * axis + (slice(0, n), ...)]
    if n == size:
        return x
    return concat(
        [x, zeros((*x.shape[:axis], n - size, *x.shape[axis + 1 :]), dtype=x.dtype, device=x.device)], axis=axis
    )


def _sizes(
    x: ArrayLike, name: str, s: Sequence[int] | None, axes: Sequence[int] | None
) -> list[tuple[int, int | None]]:
    """(axis, number of points or None) for each axis of a transform over several."""
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


def _along(primitive: Primitive, name: str, x: ArrayLike, n: Any, axis: int, norm: str) -> Any:
    """A complex transform along one axis."""
    x, axis = _complex(x), one_axis(axis, x.ndim)
    x = _resized(x, _points(name, x.shape[axis] if n is None else n), axis)
    return primitive(x, axis, norm) if x.size else x  # no rows: not every library transforms them


def _real(name: str, x: ArrayLike, n: Any, axis: int, norm: str) -> Any:
    axis = one_axis(axis, x.ndim)
    n = _points(name, x.shape[axis] if n is None else n)
    return _rfft(_resized(x, n, axis), n, axis, norm) if x.size else _complex(_resized(x, n // 2 + 1, axis))


def _to_real(name: str, x: ArrayLike, n: Any, axis: int, norm: str) -> Any:
    x, axis = _complex(x), one_axis(axis, x.ndim)
    n = _points(name, 2 * (x.shape[axis] - 1) if n is None else n)
    return _irfft(_resized(x, n // 2 + 1, axis), n, axis, norm) if x.size else real(_resized(x, n, axis))


# -- transforms --------------------------------------------------------------------------------------------------------
def fft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """Fourier transform along an axis: ``sum over j of x[j] * exp(-2 pi i j k / n)``.

    Parameters
    ----------
    x : Variable or array
        Complex, or real, which is converted.
    n : int, optional
        Number of points: what is longer is cut, what is shorter gets zeros at its end. Default: the size along the
        axis.
    axis : int
    norm : {"backward", "ortho", "forward"}
        Whether the inverse transform divides by n, both by its root, or this one by n.

    Returns
    -------
    Variable
        Complex, with n elements along the axis.

    Raises
    ------
    TypeError
        If ``x`` is not floating-point.
    ValueError
        If there is no point, or no such ``norm``.
    """
    return _along(_fft, "fft", _given(x, "fft", norm), n, axis, norm)


def ifft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The inverse of `fft`; parameters as there."""
    return _along(_ifft, "ifft", _given(x, "ifft", norm), n, axis, norm)


def fftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """`fft` along several axes.

    Parameters
    ----------
    x : Variable or array
    s : sequence of int, optional
        Number of points along each of the axes; -1: as many as there are.
    axes : sequence of int, optional
        Default: all, or as many of the last as ``s`` has sizes.
    norm : {"backward", "ortho", "forward"}
        As in `fft`.
    """
    x = _given(x, "fftn", norm)
    for axis, n in _sizes(x, "fftn", s, axes):
        x = _along(_fft, "fftn", x, n, axis, norm)
    return x


def ifftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """The inverse of `fftn`; parameters as there."""
    x = _given(x, "ifftn", norm)
    for axis, n in _sizes(x, "ifftn", s, axes):
        x = _along(_ifft, "ifftn", x, n, axis, norm)
    return x


def rfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """`fft` of a real array, of which the second half is the first one's mirror image: the first n // 2 + 1
    elements.
    """
    return _real("rfft", _given(x, "rfft", norm, only_real=True), n, axis, norm)


def irfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The inverse of `rfft`: n real elements, by default 2 * (size - 1)."""
    return _to_real("irfft", _given(x, "irfft", norm), n, axis, norm)


def rfftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """`rfft` along the last of several axes, `fft` along the others; parameters as in `fftn`."""
    x = _given(x, "rfftn", norm, only_real=True)
    *others, (last, points) = _sizes(x, "rfftn", s, axes)
    x = _real("rfftn", x, points, last, norm)
    for axis, n in others:
        x = _along(_fft, "rfftn", x, n, axis, norm)
    return x


def irfftn(
    x: ArrayLike, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
) -> Variable:
    """The inverse of `rfftn`: real; the last size is by default 2 * (size - 1)."""
    x = _given(x, "irfftn", norm)
    *others, (last, points) = _sizes(x, "irfftn", s, axes)
    for axis, n in others:
        x = _along(_ifft, "irfftn", x, n, axis, norm)
    return _to_real("irfftn", x, points, last, norm)


def hfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """`fft` of the array whose first half is ``x`` and whose second one is its conjugate mirror image: n real
    elements.
    """
    return _to_real("hfft", conj(_complex(_given(x, "hfft", norm))), n, axis, _ADJOINT[norm])


def ihfft(x: ArrayLike, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Variable:
    """The inverse of `hfft`, of a real array: n // 2 + 1 complex elements."""
    return conj(_real("ihfft", _given(x, "ihfft", norm, only_real=True), n, axis, _ADJOINT[norm]))


# -- frequencies and order ---------------------------------------------------------------------------------------------
def _frequencies(name: str, k: Any, n: int, d: float, dtype: DTypeLike) -> Any:
    dtype = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"{name}: frequencies are of a real floating-point dtype, not {dtype}")
    return astype(k, dtype) / (n * float(d))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """The frequencies of the elements of `fft`: 0, 1, ..., then the negative ones up to -1, over ``n * d``."""
    n = _points("fftfreq", n)
    return _frequencies("fftfreq", (arange(n, device=device) + n // 2) % n - n // 2, n, d, dtype)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DTypeLike = None, device: str | None = None) -> Variable:
    """The frequencies of the elements of `rfft`: 0, 1, ..., n // 2, over ``n * d``."""
    n = _points("rfftfreq", n)
    return _frequencies("rfftfreq", arange(n // 2 + 1, device=device), n, d, dtype)


def fftshift(x: ArrayLike, /, *, axes: Axes = None) -> Variable:
    """The elements in such an order that frequency 0 is in the middle of each of the axes (None: of all)."""
    x = adopt(x, "fftshift")
    chosen = axes_of(axes, x.ndim)
    return roll(x, tuple([x.shape[axis] // 2 for axis in chosen]), axis=chosen)


def ifftshift(x: ArrayLike, /, *, axes: Axes = None) -> Variable:
    """The inverse of `fftshift`."""
    x = adopt(x, "ifftshift")
    chosen = axes_of(axes, x.ndim)
    return roll(x, tuple([-(x.shape[axis] // 2) for axis in chosen]), axis=chosen)
