"""Norms of vectors without overflow on the way, and cofactors: the gradient of a determinant."""

from __future__ import annotations

from math import inf, log2
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import Array, Namespace


def vector_norm(xp: Namespace, x: Array, axes: tuple[int, ...], order: float, keepdims: bool) -> Array:
    """``sum(abs(x) ** order) ** (1 / order)`` over axes, real, for an order that is not 0.

    The largest size (or the smallest, for a negative order) may have a power that is too large or too small. Then all
    sizes are divided by it first, so that nothing overflows or underflows on the way.
    """
    sizes = xp.abs(x)
    if not axes:
        return sizes
    axes = tuple([axis % x.ndim for axis in axes])
    if 0 in [x.shape[axis] for axis in axes]:
        sizes_left = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
        return xp.full(tuple(sizes_left), 0.0 if order > 0 else inf, dtype=sizes.dtype, device=x.device)
    top = (xp.max if order > 0 else xp.min)(sizes, axis=axes, keepdims=True)
    if abs(order) == inf:
        return top if keepdims else xp.squeeze(top, axis=axes)
    least, most = safe_sizes(xp.finfo(sizes.dtype), order)
    one = xp.ones_like(top)
    unsafe = xp.logical_and(xp.logical_or(top < least, top > most), xp.logical_and(top > 0, top < inf))
    scale = xp.where(unsafe, top, one)
    # XLA multiplies by reciprocals, and flushes the reciprocal of the largest number to 0
    quarter = xp.where(scale > 1, one / 4, one)
    sizes = sizes * quarter / (scale * quarter)
    if order == 2:
        out = scale * xp.sqrt(xp.sum(sizes * sizes, axis=axes, keepdims=True))
    elif order > 0:
        out = scale * xp.sum(sizes**order, axis=axes, keepdims=True) ** (1 / order)
    else:
        total = xp.sum(xp.where(sizes == 0, one, sizes) ** order, axis=axes, keepdims=True)
        all_infinite = total == 0
        out = scale * xp.where(all_infinite, one, total) ** (1 / order)
        out = xp.where(top == 0, xp.zeros_like(out), out)  # the norm is zero if an element is
        out = xp.where(all_infinite, one * inf, out)
    return out if keepdims else xp.squeeze(out, axis=axes)


def safe_sizes(info: Any, order: float) -> tuple[float, float]:
    """The smallest and the largest size whose powers can be summed without overflow and without loss of digits.

    They leave half of the exponents of a dtype, which ``info`` describes.
    """
    exponent = min(log2(float(info.max)) / 2 / abs(order), 1000)
    return 2.0**-exponent, 2.0**exponent


def cofactors(xp: Namespace, x: Array) -> Array:
    """The cofactors of matrices, (..., n, n): element [i, j] is the derivative of the determinant in ``x[i, j]``."""
    if 0 in x.shape:
        return xp.zeros_like(x)
    out, singular = cofactors_by_inverse(xp, x)
    return cofactors_by_svd(xp, x, out, singular) if xp.any(singular) else out


def cofactors_by_inverse(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """``det(x) * inv(x)^T``, and for which matrices this is not accurate: booleans, (..., 1, 1).

    Both factors are inexact near a singular matrix. Where half of the digits are lost, another method is needed.
    """
    try:
        inverse = xp.matrix_transpose(xp.linalg.inv(x))
    except Exception as error:
        if not type(error).__name__.endswith("LinAlgError"):
            raise
        inverse = xp.full_like(x, float("nan"))  # the error does not say which of the matrices is singular
    regular = _size(xp, x) * _size(xp, inverse) <= float(xp.finfo(x.dtype).eps) ** -0.5
    finite = xp.all(xp.isfinite(x), axis=(-2, -1), keepdims=True)
    return xp.linalg.det(x)[..., None, None] * inverse, xp.logical_and(finite, xp.logical_not(regular))


def _size(xp: Namespace, x: Array) -> Array:
    """The largest absolute value of each matrix, (..., 1, 1)."""
    return xp.max(xp.abs(x), axis=(-2, -1), keepdims=True)


def cofactors_by_svd(xp: Namespace, x: Array, out: Array, singular: Array) -> Array:
    """``out``, with the cofactors of the singular matrices in their places.

    The cofactors of ``U @ diag(s) @ Vh`` are ``det(U) * det(Vh) * conj(U @ diag(p) @ Vh)``, where ``p[i]`` is the
    product of all of s except ``s[i]``. Source: Higham, "What is the adjugate of a matrix?", 2020.
    """
    eye = xp.tril(xp.triu(xp.ones_like(x)))
    u, s, vh = xp.linalg.svd(xp.where(singular, x, eye), full_matrices=False)
    sizes = s[..., None, :]
    products = xp.prod(xp.where(eye == 1, xp.ones_like(sizes), sizes), axis=-1)
    adjugate = xp.matmul(u * products[..., None, :], vh)
    if "complex" in str(x.dtype):
        adjugate = xp.conj(adjugate)
    sign = xp.linalg.det(u) * xp.linalg.det(vh)
    return xp.where(singular, sign[..., None, None] * adjugate, out)
