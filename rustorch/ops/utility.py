"""Whether all or any elements are true; differences of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.check import adopt
from ..autograd.primitive import Primitive
from .arguments import axes_of, one_axis
from .joining import concat

if TYPE_CHECKING:
    from ..typing import ArrayLike, Axes
    from ..variable import Variable

__all__ = ["all", "any", "diff"]

_all = Primitive("all", lambda xp, x, /, axis, keepdims: xp.all(x, axis=axis, keepdims=keepdims))
_any = Primitive("any", lambda xp, x, /, axis, keepdims: xp.any(x, axis=axis, keepdims=keepdims))


def all(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Whether all elements along axes are true, or not zero. Without axes, of the whole array."""
    x = adopt(x, "all")
    return _all(x, None if axis is None else axes_of(axis, x.ndim), keepdims)


def any(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False) -> Variable:
    """Whether any element along axes is true, or not zero. Without axes, of the whole array."""
    x = adopt(x, "any")
    return _any(x, None if axis is None else axes_of(axis, x.ndim), keepdims)


def diff(
    x: ArrayLike, /, *, axis: int = -1, n: int = 1, prepend: ArrayLike | None = None, append: ArrayLike | None = None
) -> Variable:
    """The differences of neighbours along an axis, taken ``n`` times.

    Parameters
    ----------
    x : Variable or array
    axis : int
    n : int
        0 returns ``x`` itself, without ``prepend`` and ``append``, as in NumPy, PyTorch and JAX.
    prepend, append : Variable or array, optional
        Joined to ``x`` along the axis before differences are taken.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If ``n`` is negative.
    """
    x = adopt(x, "diff")
    if n < 0:
        raise ValueError(f"diff: n is the number of times, not {n}")
    axis = one_axis(axis, x.ndim)
    if n == 0:
        return x
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = concat(parts, axis=axis)
    before = (slice(None),) * axis
    for _ in range(n):
        x = x[(*before, slice(1, None), ...)] - x[(*before, slice(None, -1), ...)]
    return x
