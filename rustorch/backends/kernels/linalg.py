"""Cofactors: the gradient of a determinant, of singular matrices too, of which the standard's inverse knows nothing."""

from __future__ import annotations

from typing import Any

__all__ = ["cofactors"]


def cofactors(xp: Any, x: Any) -> Any:
    """The matrices of cofactors of square ones, (..., n, n): element [i, j] is the derivative of the determinant in ``x[i, j]``."""
    if 0 in x.shape:
        return xp.zeros_like(x)
    out, singular = by_inverse(xp, x)
    return by_svd(xp, x, out, singular) if xp.any(singular) else out


def by_inverse(xp: Any, x: Any) -> tuple[Any, Any]:
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


def by_svd(xp: Any, x: Any, out: Any, singular: Any) -> Any:
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
