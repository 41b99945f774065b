"""Cross and outer products of vectors; diagonals and traces of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...autograd.check import adopt
from .. import statistical
from ..arguments import one_axis
from ..elementwise import multiply
from ..manipulation import expand_dims, reshape, roll

if TYPE_CHECKING:
    from ...typing import ArrayLike, DTypeLike
    from ...variable import Variable

__all__ = ["cross", "diagonal", "outer", "trace"]


def cross(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Variable:
    """The cross products of vectors of three elements along an axis. The other axes broadcast.

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


def outer(x1: ArrayLike, x2: ArrayLike, /) -> Variable:
    """The matrix of all products of an element of ``x1`` and an element of ``x2``.

    Parameters
    ----------
    x1 : Variable or array, (n,)
    x2 : Variable or array, (m,)

    Returns
    -------
    Variable
        Of shape (n, m).

    Raises
    ------
    ValueError
        If one of the arrays is not a vector.
    """
    x1, x2 = adopt(x1, "outer", (x2,)), adopt(x2, "outer", (x1,))
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"outer is of two vectors, not of shapes {x1.shape} and {x2.shape}")
    return multiply(expand_dims(x1, axis=1), expand_dims(x2, axis=0))


def diagonal(x: ArrayLike, /, *, offset: int = 0) -> Variable:
    """The diagonals of matrices, (..., m, n): the elements [i, i + offset].

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


def trace(x: ArrayLike, /, *, offset: int = 0, dtype: DTypeLike = None) -> Variable:
    """The sums of the diagonals of matrices, (..., m, n); ``offset`` as in `diagonal`, ``dtype`` as in `sum`."""
    x = adopt(x, "trace")
    if x.ndim < 2:
        raise ValueError(f"trace needs at least two dimensions, not the shape {x.shape}")
    return statistical.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)
