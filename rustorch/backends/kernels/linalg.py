"""Norms without overflow on the way; cofactors, the gradient of a determinant, of singular matrices too."""

from __future__ import annotations

from math import inf, log2
from typing import Any


def vector_norm(xp: Any, x: Any, axes: tuple[int, ...], order: float, keepdims: bool) -> Any:
    """``sum(abs(x) ** order) ** (1 / order)`` over axes, for an order that is not 0: real.

    Where the largest size (of a negative order, the smallest) has a power that is not safe, sizes are divided by it
    first: nothing overflows or underflows on the way.
    """
    sizes = xp.abs(x)
    if not axes:
        return sizes
    axes = tuple([axis % x.ndim for axis in axes])
    if 0 in [x.shape[axis] for axis in axes]:
        kept = (
            [1 if i in axes else n for i, n in enumerate(x.shape)]
            if keepdims
            else [n for i, n in enumerate(x.shape) if i not in axes]
        )
        return xp.full(tuple(kept), 0.0 if order > 0 else inf, dtype=sizes.dtype, device=x.device)
    top = (xp.max if order > 0 else xp.min)(sizes, axis=axes, keepdims=True)
    if abs(order) == inf:
        return top if keepdims else xp.squeeze(top, axis=axes)
    least, most = safe_sizes(xp.finfo(sizes.dtype), order)
    one = xp.ones_like(top)
    unsafe = xp.logical_and(xp.logical_or(top < least, top > most), xp.logical_and(top > 0, top < inf))
    scale = xp.where(unsafe, top, one)
    quarter = xp.where(scale > 1, one / 4, one)  # XLA multiplies by reciprocals: that of the largest number is 0 to it
    sizes = sizes * quarter / (scale * quarter)
    if order == 2:
        out = scale * xp.sqrt(xp.sum(sizes * sizes, axis=axes, keepdims=True))
    elif order > 0:
        out = scale * xp.sum(sizes**order, axis=axes, keepdims=True) ** (1 / order)
    else:
        total = xp.sum(xp.where(sizes == 0, one, sizes) ** order, axis=axes, keepdims=True)
        none = total == 0  # nothing but infinities
        out = scale * xp.where(none, one, total) ** (1 / order)
        out = xp.where(
            none, one * inf, xp.where(top == 0, xp.zeros_like(out), out)
        )  # a zero among the elements: the norm is zero
    return out if keepdims else xp.squeeze(out, axis=axes)


def safe_sizes(info: Any, order: float) -> tuple[float, float]:
    """Between which sizes the sum of powers neither overflows nor loses digits: half of the exponents of the dtype, by
    ``info``.
    """
    exponent = min(log2(float(info.max)) / 2 / abs(order), 1000)
    return 2.0**-exponent, 2.0**exponent


def cofactors(xp: Any, x: Any) -> Any:
    """The matrices of cofactors of square ones, (..., n, n): element [i, j] is the derivative of the determinant in
    ``x[i, j]``.
    """
    if 0 in x.shape:
        return xp.zeros_like(x)
    out, singular = cofactors_by_inverse(xp, x)
    return cofactors_by_svd(xp, x, out, singular) if xp.any(singular) else out


def cofactors_by_inverse(xp: Any, x: Any) -> tuple[Any, Any]:
    """``det(x) * inv(x)^T``, and of which matrices it is not the answer: booleans, (..., 1, 1).

    Close to a singular matrix both factors are inexact: where half of the digits are gone, another way has to be taken.
    """
    try:
        inverse = xp.matrix_transpose(xp.linalg.inv(x))
    except Exception as error:
        if not type(error).__name__.endswith("LinAlgError"):
            raise
        inverse = xp.full_like(x, float("nan"))  # it does not say which one is singular: none of them has an answer yet
    regular = _size(xp, x) * _size(xp, inverse) <= float(xp.finfo(x.dtype).eps) ** -0.5
    finite = xp.all(xp.isfinite(x), axis=(-2, -1), keepdims=True)
    return xp.linalg.det(x)[..., None, None] * inverse, xp.logical_and(finite, xp.logical_not(regular))


def _size(xp: Any, x: Any) -> Any:
    return xp.max(xp.abs(x), axis=(-2, -1), keepdims=True)


def cofactors_by_svd(xp: Any, x: Any, out: Any, singular: Any) -> Any:
    """``out``, with the cofactors of the singular matrices in their places.

    Source: Higham, "What is the adjugate of a matrix?", 2020. Of ``U @ diag(s) @ Vh`` they are
    ``det(U) * det(Vh) * conj(U @ diag(p) @ Vh)``, where ``p[i]`` is the product of all of s but ``s[i]``.
    """
    eye = xp.tril(xp.triu(xp.ones_like(x)))
    u, s, vh = xp.linalg.svd(xp.where(singular, x, eye), full_matrices=False)
    sizes = s[..., None, :]
    products = xp.prod(xp.where(eye == 1, xp.ones_like(sizes), sizes), axis=-1)
    found = xp.matmul(u * products[..., None, :], vh)
    if "complex" in str(x.dtype):
        found = xp.conj(found)
    sign = xp.linalg.det(u) * xp.linalg.det(vh)
    return xp.where(singular, sign[..., None, None] * found, out)
