"""Linear algebra: norms in one launch; and where CuPy does not look at what cuSOLVER reports, the answers of the CPU.

cuSOLVER promises nothing for matrices with nan or infinities, so it never sees them. To raise an error means to wait
for the GPU: this is done for the functions that raise on the CPU, and for no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat.cupy
import cupy
import cupyx
import numpy

from ..kernels.linalg import safe_sizes
from . import clipping
from .launch import Array, Source, call_plain, overrides
from .rows import ROWS, Rows, along, channels, launch_rows, trailing

#: Functions that raise for nan (or infinities), as NumPy does, by what they say.
_REFUSING = {
    "svd": (cupy.isnan, "SVD did not converge"),
    "svdvals": (cupy.isnan, "SVD did not converge"),
    "pinv": (cupy.isnan, "SVD did not converge"),
    "eig": (lambda x: ~cupy.isfinite(x), "Array must not contain infs or NaNs"),
    "eigvals": (lambda x: ~cupy.isfinite(x), "Array must not contain infs or NaNs"),
}
#: Functions that give nan for them.
_SPARING = {
    "inv": cupy.isnan,
    "cholesky": cupy.isnan,
    "eigh": lambda x: ~cupy.isfinite(x),
    "eigvalsh": lambda x: ~cupy.isfinite(x),
}
#: Functions that raise where there is no result.
_RAISING = {"inv", "solve", "cholesky", "svd", "svdvals", "pinv"}


#: A row of more elements is not for one block of threads alone.
LONG = 1 << 14
_NORM = Source(
    ROWS,
    """
// Sizes are divided by the largest one (of a negative order, the smallest) unless it is between least and most.
extern "C" __launch_bounds__(1024) __global__ void vector_norm(Rows rows, const T* x, T* out, T order, T least, T most) {
    Row row(rows);
    T sign = order < 0 ? -1 : 1, top = log((T)0), sum = 0;
    EACH(j) top = larger(top, sign * fabs(x[row.at(j)]));
    top = sign * row.largest(top);
    bool done = order - order != 0 || top == 0 || top - top != 0;  // the norm is infinite, zero or nan, as the largest is
    T scale = done || (top >= least && top <= most) ? 1 : top;
    EACH(j) sum += order == 2 ? (x[row.at(j)] / scale) * (x[row.at(j)] / scale) : pow(fabs(x[row.at(j)]) / scale, order);
    sum = row.sum(sum);
    T root = scale * (order == 2 ? sqrt(sum) : pow(sum, 1 / order));
    if (row.is_first()) out[row.number] = done ? top : root;
}
""",
)


def _geometry(shape: tuple[int, ...], axes: tuple[int, ...]) -> Rows | None:
    """The rows that axes make, if they are one axis, the last ones, or all but axis 1."""
    n, ndim = len(axes), len(shape)
    if axes == tuple(range(ndim - n, ndim)):
        return trailing(shape, n)
    if n == 1:
        return along(shape, axes[0])
    return channels(shape) if axes == (0, *range(2, ndim)) else None


def vector_norm(x: Array, axes: tuple[int, ...], order: float, keepdims: bool) -> Array:
    axes = tuple([axis % x.ndim for axis in axes])
    rows = _geometry(x.shape, axes) if axes else None
    shape = tuple([1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes])
    if rows is None:
        return call_plain("vector_norm", x, axes, order, keepdims)
    if rows.total == 1 and rows.size > LONG and order > 0:
        return clipping.total_norm(order, x).reshape(shape)
    out = cupy.empty(shape, x.dtype)
    launch_rows(_NORM, "vector_norm", rows, x, out, float(order), *safe_sizes(numpy.finfo(x.dtype), order))
    return out


def function(name: str) -> Any:
    """The function of ``linalg`` by name, with the checks that CuPy leaves out."""
    found = _solve if name == "solve" else getattr(array_api_compat.cupy.linalg, name)
    if name in _RAISING:
        found = _raising(found)
    if name in _REFUSING:
        found = _refusing(found, *_REFUSING[name])
    return _sparing(found, _SPARING[name]) if name in _SPARING else found


def _raising(function: Callable) -> Callable:
    def run(*args: Any, **options: Any) -> Any:
        with cupyx.errstate(linalg="raise"):
            return function(*args, **options)

    return run


def _refusing(function: Callable, is_bad: Callable[[Array], Array], message: str) -> Callable:
    def run(x: Array, *args: Any, **options: Any) -> Any:
        if x.size and bool(is_bad(x).any()):
            raise numpy.linalg.LinAlgError(message)
        return function(x, *args, **options)

    return run


def _sparing(function: Callable, is_bad: Callable[[Array], Array]) -> Callable:
    def run(x: Array, *args: Any, **options: Any) -> Any:
        if not x.size or x.ndim < 2 or x.shape[-1] != x.shape[-2]:
            return function(x, *args, **options)
        bad, safe = _spared(x, is_bad)
        out = function(safe, *args, **options)
        if isinstance(out, tuple):
            return type(out)(*[_spoiled(part, bad, x) for part in out])
        return _spoiled(out, bad, x)

    return run


def _spared(x: Array, is_bad: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Which matrices are bad, (..., 1, 1), and all of them with the identity in the places of those."""
    bad = is_bad(x).any(axis=(-2, -1), keepdims=True)
    return bad, cupy.where(bad, cupy.eye(x.shape[-1], dtype=x.dtype), x)


def _spoiled(part: Array, bad: Array, x: Array) -> Array:
    """nan in the parts of the result that belong to bad matrices."""
    return cupy.where(bad if part.ndim == x.ndim else bad[..., 0], part.dtype.type(numpy.nan), part)


def _solve(x1: Array, x2: Array) -> Array:
    """CuPy's solve, for leading axes that broadcast; CuPy reports nothing for stacks, so this looks at the
    determinants.
    """
    lead = numpy.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    x1, x2 = (cupy.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (x1, x2))
    bad, safe = _spared(x1, cupy.isnan)
    if lead and x1.size and bool((cupy.linalg.slogdet(safe)[0] == 0).any()):
        raise numpy.linalg.LinAlgError("singular")
    return _spoiled(cupy.linalg.solve(safe, x2), bad, x1)


OVERRIDES = overrides(vector_norm)
