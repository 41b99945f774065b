"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...autograd.grad import grad
from ...autograd.graph import VARIABLES
from ...autograd.primitive import Primitive
from ...backends import dtypes
from ...backends.kernels.linalg import safe_sizes
from .. import elementwise, statistical
from ..arguments import axes_of, real_number
from ..data_type import astype, finfo
from ..indexing import extent
from ..manipulation import expand_dims
from ..statistical import restore_axes
from ..undefined_derivatives import undefined_derivative
from .checks import floating_of
from .factorizations import svdvals

if TYPE_CHECKING:
    from ...typing import Array, ArrayLike, Axes, Namespace
    from ...variable import Variable

__all__ = ["matrix_norm", "vector_norm"]

_INF, _NAN = float("inf"), float("nan")


# -- norms of vectors --------------------------------------------------------------------------------------------------
def _limit_at_zero(xp: Namespace, g: Array, out: Array) -> tuple[Array, Array]:
    """The limit of ``g / out`` where both are 0, and whether it exists.

    By L'Hopital's rule it is the derivative of ``g`` in ``out``.
    """
    if not g._tracked:
        return xp.zeros_like(g), g == 0
    derivative = grad(g, out, xp.ones_like(g), create_graph=True, allow_unused=True)[0]
    # Without a derivative, g does not depend on out: it is 0 for another reason, and may depend on x.
    limit = xp.full_like(g, _NAN) if derivative is None else derivative
    smooth = xp.logical_and(g == 0, xp.isfinite(limit))
    return xp.where(smooth, limit, xp.zeros_like(limit)), smooth


def _needs_no_limit(xp: Namespace, g: Array, out: Array, zero: Array) -> bool:
    """Whether a rule computes a first derivative, or no element of ``zero`` is true."""
    return type(g) not in VARIABLES or not out._tracked or extent(astype(zero, dtypes.int32))[1] == 0


def by_norm(xp: Namespace, g: Array, x: Array, out: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """``g * x / out``, where ``out`` is a norm of ``x`` over axes.

    At the norm 0, ``x`` is 0 and so is the gradient. It has a derivative there if ``g`` is 0, too, as for the square of
    a norm. If not, the second derivative is nan.
    """
    shape = tuple(x.shape)
    wide = restore_axes(xp, out, axes, shape, keepdims)
    zero = wide == 0
    direction = x / xp.where(zero, xp.ones_like(wide), wide)
    wide = restore_axes(xp, g, axes, shape, keepdims)
    if _needs_no_limit(xp, g, out, zero):
        return wide * direction
    limit, smooth = [restore_axes(xp, value, axes, shape, keepdims) for value in _limit_at_zero(xp, g, out)]
    undefined = xp.logical_and(zero, xp.logical_not(smooth))
    return xp.where(zero, limit, wide) * direction + xp.where(undefined, undefined_derivative(x), xp.zeros_like(x))


def _root_rule(xp: Namespace, g: Array, x: Array, out: Array, order: float) -> Array:
    """``g * out / x / order``. At 0 it is 0, because ``x`` is a sum of powers whose derivative is 0 there."""
    zero = x == 0
    slope = g * (out / (order * xp.where(zero, xp.ones_like(x), x)))
    if _needs_no_limit(xp, g, out, zero):
        return slope
    limit, smooth = _limit_at_zero(xp, g, out)
    undefined = xp.logical_and(zero, xp.logical_not(smooth)) if order == 2 else zero
    return xp.where(zero, limit / order, slope) + xp.where(undefined, undefined_derivative(x), xp.zeros_like(x))


#: The root of a sum of powers. The order is positive. Pooling computes the sum itself.
root_of_sum = Primitive(
    "root_of_sum",
    lambda xp, x, /, order: xp.sqrt(x) if order == 2 else x ** (1 / order),
    x=_root_rule,
)


def safe_range(dtype: Any, order: float) -> tuple[float, float]:
    """The smallest and the largest numbers whose powers can be added up in ``dtype``.

    Powers of numbers between the two neither overflow nor lose digits near 0, and their sum does not either.
    """
    return safe_sizes(finfo(dtype), order)


def _vector_norm_rule(
    xp: Namespace, g: Array, x: Array, out: Array, axes: tuple[int, ...], order: float, keepdims: bool
) -> Array:
    """``g * sign(x) * (abs(x) / out) ** (order - 1)``, and 0 at 0."""
    if order == 2:
        return by_norm(xp, g, x, out, axes, keepdims)
    g, out = (restore_axes(xp, value, axes, tuple(x.shape), keepdims) for value in (g, out))
    sizes = xp.abs(x)
    none = sizes == 0
    safe = xp.where(none, xp.ones_like(sizes), sizes)
    if order < 0:
        factor = (out / safe) ** (1 - order)
    else:
        out = xp.where(out == 0, xp.ones_like(out), out)
        # For orders below 2 the quotient may underflow; the two powers do not, and their product is small enough.
        factor = safe ** (order - 1) * out ** (1 - order) if order < 2 else (sizes / out) ** (order - 1)
    return g * (factor if order > 2 else xp.where(none, xp.zeros_like(factor), factor)) * xp.sign(x)


_vector_norm = Primitive(
    "vector_norm",
    lambda xp, x, /, axes, order, keepdims: xp.vector_norm(x, axes, order, keepdims),
    x=_vector_norm_rule,
)


def vector_norm(x: ArrayLike, /, *, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Variable:
    """The norm of the elements along axes: ``sum(abs(x) ** ord) ** (1 / ord)``. The powers do not over- or underflow.

    The gradient at 0 is 0. Second derivatives at 0 are correct for smooth functions, such as ``vector_norm(x) ** 2``.
    The norm itself has none there: they are nan.

    Parameters
    ----------
    x : Variable or array
        Floating-point.
    axis : int, tuple of int, or None
        None: all axes.
    keepdims : bool
        Whether the axes stay in the result, with size 1.
    ord : float
        ``inf``: the largest absolute value. ``-inf``: the smallest absolute value. 0: the number of elements that are
        not zero.

    Returns
    -------
    Variable
        Real.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.linalg.vector_norm(rustorch.asarray([3e30, 4e30]))
    Variable(5.e+30)
    """
    x = floating_of(x, "vector_norm")
    axes = axes_of(axis, x.ndim)
    ord = real_number("vector_norm", "ord", ord)
    if abs(ord) == _INF or ord in (0, 1):
        sizes = elementwise.abs(x)
        if ord == _INF:
            return statistical.max(sizes, axis=axes, keepdims=keepdims)
        if ord == -_INF:
            return statistical.min(sizes, axis=axes, keepdims=keepdims)
        if ord == 0:
            return statistical.sum(astype(x.detach() != 0, sizes.dtype), axis=axes, keepdims=keepdims)
        return statistical.sum(sizes, axis=axes, keepdims=keepdims)
    return _vector_norm(x, axes, ord, keepdims)


def matrix_norm(x: ArrayLike, /, *, keepdims: bool = False, ord: Any = "fro") -> Variable:
    """The norms of matrices.

    Parameters
    ----------
    x : Variable or array, (..., m, n)
        Floating-point.
    keepdims : bool
        Whether the last two axes stay in the result, with size 1.
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        "fro": the root of the sum of squares. "nuc": the sum of the singular values. 1, -1: the largest, smallest sum
        of the absolute values in a column. 2, -2: the largest, smallest singular value. inf, -inf: the largest,
        smallest sum of the absolute values in a row.

    Returns
    -------
    Variable
        Real.

    Raises
    ------
    ValueError
        If ``x`` has fewer than two dimensions, or ``ord`` is none of these.
    """
    x = floating_of(x, "matrix_norm")
    if x.ndim < 2:
        raise ValueError(f"matrix_norm needs at least two dimensions, not the shape {x.shape}")
    if ord not in ("fro", "nuc", 1, -1, 2, -2, _INF, -_INF):
        raise ValueError(f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}")
    if ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord == "nuc" or abs(ord) == 2:
        sizes = svdvals(x)
    else:
        sizes = statistical.sum(elementwise.abs(x), axis=-2 if abs(ord) == 1 else -1)
    reduce = statistical.sum if ord == "nuc" else statistical.max if ord > 0 else statistical.min
    out = reduce(sizes, axis=-1)
    return expand_dims(expand_dims(out, axis=-1), axis=-1) if keepdims else out
