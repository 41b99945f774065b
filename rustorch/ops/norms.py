"""The part of ``linalg`` that needs no factorization: norms, diagonals, outer and cross products."""

from __future__ import annotations

from typing import Any

from ..autograd.check import adopt
from ..backends import dtypes
from . import elementwise, statistical
from .data_type import astype
from .helpers import axes_of, is_complex, one_axis
from .manipulation import expand_dims, reshape, roll
from .searching import where

__all__ = ["cross", "diagonal", "matrix_norm", "outer", "trace", "vector_norm"]

_INF = float("inf")


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross products of vectors of three elements along an axis; the other axes broadcast.

    Parameters
    ----------
    x1, x2 : Variable or array
    axis : int
        Counted from the end (negative).

    Raises
    ------
    ValueError
        If a size along the axis is not 3.
    """
    x1, x2 = adopt(x1, "cross", (x2,)), adopt(x2, "cross", (x1,))
    sizes = [x.shape[one_axis(axis, x.ndim)] for x in (x1, x2)]
    if sizes != [3, 3]:
        raise ValueError(
            f"cross: sizes along axis {axis} are 3, not {sizes[0]} and {sizes[1]} (shapes {x1.shape} and {x2.shape})"
        )
    after1, before1 = roll(x1, -1, axis=axis), roll(x1, 1, axis=axis)
    after2, before2 = roll(x2, -1, axis=axis), roll(x2, 1, axis=axis)
    return after1 * before2 - before1 * after2


def outer(x1: Any, x2: Any, /) -> Any:
    """All products of an element of ``x1``, (n,), and one of ``x2``, (m,): an (n, m) matrix.

    Raises
    ------
    ValueError
        If one is not a vector.
    """
    x1, x2 = adopt(x1, "outer", (x2,)), adopt(x2, "outer", (x1,))
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"outer is of two vectors, not of shapes {x1.shape} and {x2.shape}")
    return elementwise.multiply(expand_dims(x1, axis=1), expand_dims(x2, axis=0))


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The elements [i, i + offset] of matrices, (..., m, n), as vectors.

    Raises
    ------
    ValueError
        If there are fewer than two dimensions.
    """
    x = adopt(x, "diagonal")
    if x.ndim < 2:
        raise ValueError(f"diagonal needs at least two dimensions, not the shape {x.shape}")
    m, n = x.shape[-2:]
    length = max(min(m + min(offset, 0), n - max(offset, 0)), 0)
    rows = reshape(x, (*x.shape[:-2], m * n))
    if not length:
        return rows[..., :0]
    start = offset if offset >= 0 else -offset * n
    return rows[..., start : min(start + length * (n + 1), m * n) : n + 1]


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sums of the elements [i, i + offset] of matrices, (..., m, n); ``dtype`` as in `sum`. See `diagonal`."""
    x = adopt(x, "trace")
    if x.ndim < 2:
        raise ValueError(f"trace needs at least two dimensions, not the shape {x.shape}")
    return statistical.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def _floating(x: Any, name: str) -> Any:
    x = adopt(x, name)
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")
    return x


def _root(total: Any, power: float) -> Any:
    """``total ** (1 / power)`` with the gradient 0 at 0."""
    zero = total == 0
    safe = where(zero, 1.0, total)
    return where(zero, 0.0, elementwise.sqrt(safe) if power == 2 else safe ** (1 / power))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Norm of the elements along axes: ``sum(abs(x) ** ord) ** (1 / ord)``. Its gradient at 0 is 0.

    Parameters
    ----------
    x : Variable or array
        Floating-point.
    axis : int, tuple of int, or None
        None: all.
    keepdims : bool
    ord : float
        ``inf`` and ``-inf`` are the largest and the smallest absolute value, 0 is the number of elements that are not zero.

    Returns
    -------
    Variable
        Real.
    """
    x = _floating(x, "vector_norm")
    axes = axes_of(axis, x.ndim)
    if ord == 2:
        squares = elementwise.square(elementwise.real(x)) + elementwise.square(elementwise.imag(x)) if is_complex(x) else x * x
        return _root(statistical.sum(squares, axis=axes, keepdims=keepdims), 2)
    sizes = elementwise.abs(x)
    if ord == _INF:
        return statistical.max(sizes, axis=axes, keepdims=keepdims)
    if ord == -_INF:
        return statistical.min(sizes, axis=axes, keepdims=keepdims)
    if ord == 0:
        return statistical.sum(astype(x.detach() != 0, sizes.dtype), axis=axes, keepdims=keepdims)
    if ord == 1:
        return statistical.sum(sizes, axis=axes, keepdims=keepdims)
    zero = sizes == 0
    powers = where(zero, 0.0 if ord > 0 else _INF, where(zero, 1.0, sizes) ** float(ord))
    total = statistical.sum(powers, axis=axes, keepdims=keepdims)
    if ord > 0:
        return _root(total, ord)
    infinite = total == _INF  # a zero among the elements: the norm is zero
    return where(infinite, 0.0, where(infinite, 1.0, total) ** (1 / ord))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norms of matrices, (..., m, n).

    Parameters
    ----------
    x : Variable or array
        Floating-point.
    keepdims : bool
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        The root of the sum of squares, the sum of the singular values, the largest or smallest: sum of a column's absolute values,
        singular value, sum of a row's absolute values.

    Returns
    -------
    Variable
        Real.

    Raises
    ------
    ValueError
        If there are fewer than two dimensions, or no such norm.
    """
    x = _floating(x, "matrix_norm")
    if x.ndim < 2:
        raise ValueError(f"matrix_norm needs at least two dimensions, not the shape {x.shape}")
    if ord not in ("fro", "nuc", 1, -1, 2, -2, _INF, -_INF):
        raise ValueError(f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord == "nuc" or abs(ord) == 2:
        from .linalg import svdvals

        sizes = svdvals(x)
    else:
        sizes = statistical.sum(elementwise.abs(x), axis=-2 if abs(ord) == 1 else -1)
    reduce = statistical.sum if ord == "nuc" else statistical.max if ord > 0 else statistical.min
    out = reduce(sizes, axis=-1)
    return expand_dims(expand_dims(out, axis=-1), axis=-1) if keepdims else out
