"""Primitives of inverses, determinants and factorizations, each with its rule.

The rules follow Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008), in PyTorch's convention for complex numbers. A rule with another source names it. ``_h`` is the conjugate
transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...autograd.graph import VARIABLES
from ...autograd.primitive import Primitive
from ...backends.errors import LinAlgError
from ..complex_numbers import as_complex, conjugate, is_complex
from ..undefined_derivatives import undefined_derivative

if TYPE_CHECKING:
    from ...typing import Array, Namespace

# -- helpers of the rules ----------------------------------------------------------------------------------------------
_SINGULAR = "a matrix is singular; add a small multiple of the identity to it, or take linalg.pinv(x)"
_INDEFINITE = "a matrix is not positive definite; add a small multiple of the identity to it"
_DIVERGED = "the iteration did not converge; look for infinite numbers and nan in the matrix"


def _attempt(function: Callable[..., Any], advice: str, *args: Any, **options: Any) -> Any:
    """Call the library's function. Its error for a bad matrix becomes NumPy's LinAlgError, with advice."""
    try:
        return function(*args, **options)
    except Exception as error:
        if type(error).__name__.endswith("LinAlgError"):
            raise LinAlgError(advice) from error
        raise


def _h(xp: Namespace, x: Array) -> Array:
    return conjugate(xp, xp.matrix_transpose(x))


def _solve_(xp: Namespace, x1: Array, x2: Array) -> Array:
    return _attempt(xp.linalg.solve, _SINGULAR, x1, x2)


def _inverse_h(xp: Namespace, x: Array) -> Array:
    return _h(xp, _attempt(xp.linalg.inv, _SINGULAR, x))


def _largest(xp: Namespace, x: Array, n: int) -> Array:
    """The largest absolute value in vectors (n = 1) or matrices (n = 2), of shape (..., 1, 1)."""
    out = xp.max(xp.abs(x), axis=tuple(range(x.ndim - n, x.ndim)), keepdims=True)
    return out[..., None] if n == 1 else out


def _quotient(xp: Namespace, x: Array, by: Array, size: Array, scale: Array, slopes: Array) -> Array:
    """``x / by`` at each element of matrices. It is 0 where both are 0 up to rounding.

    The eigenvectors of equal eigenvalues are an arbitrary basis of a space. A loss that depends on this space alone
    does not change when the basis turns: ``x`` is 0 where ``by``, the difference of the eigenvalues, is 0. If such a
    loss treats the equal eigenvalues alike, the differences of their gradients, ``slopes``, are 0, too. If it does not,
    its gradient is 0 / 0 and cannot be computed: the result is nan.

    Parameters
    ----------
    x, by : array, (..., n, n)
    size, scale : array, (..., 1, 1)
        The size of the numbers from which ``x`` and ``by`` were computed: rounding is relative to it.
    slopes : array, (..., n, n)
    """
    is_zero = xp.logical_and(_equal(xp, by, scale), xp.abs(x) <= _precision(xp, by) * size)
    out = xp.where(is_zero, xp.zeros_like(x), x / xp.where(is_zero, xp.ones_like(by), by))
    treated_alike = xp.logical_or(size == 0, _equal(xp, slopes, _largest(xp, slopes, 2)))
    return xp.where(xp.logical_and(is_zero, xp.logical_not(treated_alike)), xp.full_like(out, float("nan")), out)


def _precision(xp: Namespace, differences: Array) -> float:
    n: int = max(differences.shape[-2:])
    return 8 * n * float(xp.finfo(differences.dtype).eps)


def _equal(xp: Namespace, differences: Array, scale: Array) -> Array:
    """Where differences of numbers of the size ``scale`` are 0 up to rounding."""
    return xp.abs(differences) <= _precision(xp, differences) * scale


def _first_order(xp: Namespace, gradient: Array, differences: Array, scale: Array, sums: Array = None) -> Array:
    """The gradient, whose own derivative is nan for matrices with equal values.

    Second derivatives may exist there, but eigenvectors cannot give them: the eigenvectors of equal values turn
    infinitely fast within their space, which has no effect of first order, but one of second order.
    """
    if type(gradient) not in VARIABLES:
        return gradient
    axes, k = (-2, -1), differences.shape[-1]  # the k differences on the diagonal are always 0
    same = xp.sum(xp.astype(_equal(xp, differences, scale), xp.int64), axis=axes, keepdims=True) > k
    if sums is not None:
        same = xp.logical_or(same, xp.any(_equal(xp, sums, scale), axis=axes, keepdims=True))
    return gradient + xp.where(same, undefined_derivative(gradient), xp.zeros_like(gradient))


def _off_diagonal(xp: Namespace, x: Array) -> Array:
    return xp.tril(x, k=-1) + xp.triu(x, k=1)


def _half_lower(xp: Namespace, x: Array) -> Array:
    """The lower triangle, with half of the diagonal."""
    return (xp.tril(x) + xp.tril(x, k=-1)) / 2


def _differences(w: Array) -> Array:
    """``w[j] - w[i]`` at [i, j]."""
    return w[..., None, :] - w[..., :, None]


# -- rules -------------------------------------------------------------------------------------------------------------
def _solve_rule(xp: Namespace, g: Array, x1: Array, out: Array) -> tuple[Array, Array]:
    g2 = _solve_(xp, _h(xp, x1), g)
    return -xp.matmul(g2, _h(xp, out)), g2


def _cholesky_rule(xp: Namespace, g: Array, out: Array) -> Array:
    """Source: Murray, "Differentiation of the Cholesky decomposition", 2016.

    One inverse and two products take half the time of two solutions: the namespace has none for triangular matrices.
    """
    inverse_h = _inverse_h(xp, out)
    inner = _half_lower(xp, xp.matmul(_h(xp, out), g))
    s = xp.matmul(inverse_h, xp.matmul(inner, _h(xp, inverse_h)))
    return (s + _h(xp, s)) / 2


def _pairwise_products(xp: Namespace, s: Array) -> Array:
    """At [i, j] the product of all numbers but ``s[i]`` and ``s[j]``; 0 on the diagonal. Nothing is divided."""
    n = s.shape[-1]
    rows = xp.broadcast_to(s[..., None, :], (*s.shape, n))
    ones = xp.ones_like(rows)
    running = xp.cumulative_prod(xp.where(xp.triu(ones, k=1) == 1, rows, ones), axis=-1, include_initial=True)
    before = xp.cumulative_prod(s, axis=-1, include_initial=True)[..., :-1]
    above = xp.triu(before[..., :, None] * running[..., :-1] * running[..., -1][..., None, :], k=1)
    return above + xp.matrix_transpose(above)


def _cofactors_rule(xp: Namespace, g: Array, x: Array) -> Array:
    """The second derivative of the determinant in the directions E and F. ``x`` may be singular.

    Far from singular matrices, with the inverse: ``det (tr(inv E) tr(inv F) - tr(inv E inv F))``. Close to a singular
    matrix this loses digits to cancellation. There, with ``x = U @ diag(s) @ Vh`` and with E and F in these bases:
    ``det(U) det(Vh)`` times the sum over pairs i, j of ``(E[i, i] F[j, j] - E[i, j] F[j, i])`` times the product of all
    of s but ``s[i]`` and ``s[j]``.
    """
    if 0 in x.shape:
        return xp.zeros_like(x)
    u, s, vh = _attempt(xp.linalg.svd, _DIVERGED, x, full_matrices=False)
    eye = xp.tril(xp.triu(xp.ones_like(x)))
    near = (s[..., -1:] <= float(xp.finfo(s.dtype).eps) ** 0.5 * s[..., :1])[..., None]
    regular = xp.where(near, eye, x)
    inverse = conjugate(xp, xp.linalg.inv(regular))
    inner, inverse_h = xp.matmul(inverse, g), xp.matrix_transpose(inverse)
    trace = xp.sum(inverse_h * g, axis=(-2, -1), keepdims=True)
    far = trace * inverse_h - xp.matrix_transpose(xp.matmul(inner, inverse))
    far = conjugate(xp, xp.linalg.det(regular))[..., None, None] * far

    turned = xp.matmul(xp.matmul(xp.matrix_transpose(u), g), xp.matrix_transpose(vh))
    products = _pairwise_products(xp, s)
    products = as_complex(xp, products) if is_complex(x) else products
    on = xp.matmul(products, xp.sum(turned * eye, axis=-1)[..., None])
    sign = conjugate(xp, xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None]
    close = sign * xp.matmul(xp.matmul(u, on * eye - products * xp.matrix_transpose(turned)), vh)
    return xp.where(near, close, far)


def _slogdet_rule(xp: Namespace, g: tuple[Array, ...], x: Array, out: tuple[Array, ...]) -> Array:
    """The derivative of ``log|det|`` is Re tr(inv(x) dx); the derivative of the sign's angle is Im tr(inv(x) dx)."""
    scale = g[1]
    if is_complex(x):
        turn = conjugate(xp, g[0]) * out[0]
        scale = scale - 1j * as_complex(xp, xp.imag(turn))
    return scale[..., None, None] * _inverse_h(xp, x)


def _pinv_rule(xp: Namespace, g: Array, x: Array, out: Array) -> Array:
    """Source: Golub & Pereyra, "The differentiation of pseudo-inverses", 1973. The rank must not change nearby."""
    out_h, g_h = _h(xp, out), _h(xp, g)
    one, two = xp.matmul(g_h, xp.matmul(out, out_h)), xp.matmul(xp.matmul(out_h, out), g_h)
    one, two = one - xp.matmul(x, xp.matmul(out, one)), two - xp.matmul(xp.matmul(two, out), x)
    return one + two - xp.matmul(out_h, xp.matmul(g, out_h))


def _eigh_rule(xp: Namespace, g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    """Only the skew part of the eigenvectors' gradient counts, because they stay orthonormal."""
    w, v = out
    if 0 in v.shape:
        return xp.zeros_like(v)
    inner = xp.matmul(_h(xp, v), g[1])
    size = _largest(xp, inner, 2)
    skew = _off_diagonal(xp, inner - _h(xp, inner)) / 2
    differences, scale = _differences(w), _largest(xp, w, 1)
    inner = _quotient(xp, skew, differences, size, scale, _differences(g[0]))
    return _first_order(xp, xp.matmul(v * g[0][..., None, :] + xp.matmul(v, inner), _h(xp, v)), differences, scale)


def _eig_rule(xp: Namespace, g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    """The rule for eigenvectors of norm 1.

    Source: Boeddeker et al., "On the computation of complex-valued gradients", 2017.
    """
    w, v = out
    if 0 in v.shape:
        return xp.zeros_like(v)
    left = _h(xp, v)
    inner = xp.matmul(left, g[1])
    size = _largest(xp, inner, 2)
    on = xp.sum(conjugate(xp, v) * g[1], axis=-2)  # the diagonal of inner
    inner = inner - xp.matmul(left, v * as_complex(xp, xp.real(on))[..., None, :])
    differences, scale = conjugate(xp, _differences(w)), _largest(xp, w, 1)
    inner = _quotient(xp, _off_diagonal(xp, inner), differences, size, scale, _differences(g[0]))
    return _first_order(xp, _solve_(xp, left, xp.matmul(inner, left) + g[0][..., :, None] * left), differences, scale)


def _svd_rule(xp: Namespace, g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    """Source: Wan & Zhang, "Automatic differentiation for complex valued SVD", 2019.

    The source has two terms, each divided by a difference of singular values; for close values they nearly cancel. This
    rule adds and subtracts them, so that only one division by a small difference is left.
    """
    u, s, vh = out
    gu, gs, gvh = g
    if u.shape[-1] != vh.shape[-2]:  # the columns and rows that full matrices add are arbitrary: no gradient
        k = s.shape[-1]
        u, vh, gu, gvh = u[..., :k], vh[..., :k, :], gu[..., :k], gvh[..., :k, :]
    if 0 in s.shape:
        return xp.matmul(u, vh)  # an array of zeros
    uh, v = _h(xp, u), _h(xp, vh)
    one, two = xp.matmul(uh, gu), xp.matmul(vh, _h(xp, gvh))
    size, scale = _largest(xp, one, 2) + _largest(xp, two, 2), _largest(xp, s, 1)
    one, two = one - _h(xp, one), two - _h(xp, two)
    differences, sums = _differences(s), s[..., None, :] + s[..., :, None]
    inner = _quotient(xp, _off_diagonal(xp, one + two), differences, size, scale, _differences(gs))
    slopes = xp.abs(gs)
    inner = (inner + _quotient(xp, one - two, sums, size, scale, slopes[..., None, :] + slopes[..., :, None])) / 2
    left = u * gs[..., None, :] + xp.matmul(u, inner)
    if u.shape[-2] > u.shape[-1]:
        outside = _quotient(
            xp, gu - xp.matmul(u, xp.matmul(uh, gu)), s[..., None, :], _largest(xp, gu, 2), scale, slopes[..., None, :]
        )
        left = left + outside
    gradient = xp.matmul(left, vh)
    if vh.shape[-1] > vh.shape[-2]:
        outside = _quotient(
            xp,
            gvh - xp.matmul(xp.matmul(gvh, v), vh),
            s[..., :, None],
            _largest(xp, gvh, 2),
            scale,
            slopes[..., :, None],
        )
        gradient = gradient + xp.matmul(u, outside)
    return _first_order(xp, gradient, differences, scale, sums)


def _qr_rule(xp: Namespace, g: tuple[Array, ...], out: tuple[Array, ...]) -> Array:
    """The rule for full column rank.

    Source: Walter & Lehmann, "Algorithmic differentiation of linear algebra functions", 2010.
    """
    q, r = out
    gq, gr = g
    if r.shape[-2] > r.shape[-1]:
        raise ValueError(
            f"qr: the columns that mode='complete' adds for the shape {tuple(r.shape)} have no gradient; use "
            f"mode='reduced'"
        )
    inner = xp.matmul(r, _h(xp, gr)) - xp.matmul(_h(xp, gq), q)
    inner = _half_lower(xp, inner)
    left = gq + xp.matmul(q, inner + _h(xp, inner))
    return _h(xp, _solve_(xp, r, _h(xp, left)))


def _to_complex(xp: Namespace, x: Array) -> Array:
    """Eigenvalues as complex numbers, as in the standard. Some libraries return real ones as real numbers."""
    return x if is_complex(x) else as_complex(xp, x)


# -- primitives --------------------------------------------------------------------------------------------------------
inv = Primitive(
    "inv",
    lambda xp, x, /: _attempt(xp.linalg.inv, _SINGULAR, x),
    x=lambda xp, g, out: -xp.matmul(_h(xp, out), xp.matmul(g, _h(xp, out))),
)
det = Primitive(
    "det",
    lambda xp, x, /: xp.linalg.det(x),
    x=lambda xp, g, x: g[..., None, None] * conjugate(xp, xp.cofactors(x)),
)
cofactors = Primitive("cofactors", lambda xp, x, /: xp.cofactors(x), x=_cofactors_rule)
solve = Primitive("solve", lambda xp, x1, x2, /: _solve_(xp, x1, x2), joint=_solve_rule)
cholesky = Primitive("cholesky", lambda xp, x, /: _attempt(xp.linalg.cholesky, _INDEFINITE, x), x=_cholesky_rule)
pinv = Primitive("pinv", lambda xp, x, /, rtol: _attempt(xp.linalg.pinv, _DIVERGED, x, rtol=rtol), x=_pinv_rule)
slogdet = Primitive("slogdet", lambda xp, x, /: tuple(xp.linalg.slogdet(x)), multiple=True, x=_slogdet_rule)
eigh = Primitive("eigh", lambda xp, x, /: tuple(_attempt(xp.linalg.eigh, _DIVERGED, x)), multiple=True, x=_eigh_rule)
eigvalsh = Primitive("eigvalsh", lambda xp, x, /: _attempt(xp.linalg.eigvalsh, _DIVERGED, x))
eig = Primitive(
    "eig",
    lambda xp, x, /: tuple([_to_complex(xp, a) for a in _attempt(xp.linalg.eig, _DIVERGED, x)]),
    multiple=True,
    x=_eig_rule,
)
eigvals = Primitive("eigvals", lambda xp, x, /: _to_complex(xp, _attempt(xp.linalg.eigvals, _DIVERGED, x)))
qr = Primitive("qr", lambda xp, x, /, mode: tuple(xp.linalg.qr(x, mode=mode)), multiple=True, x=_qr_rule)
svd = Primitive(
    "svd",
    lambda xp, x, /, full_matrices: tuple(_attempt(xp.linalg.svd, _DIVERGED, x, full_matrices=full_matrices)),
    multiple=True,
    x=_svd_rule,
)
svdvals = Primitive("svdvals", lambda xp, x, /: _attempt(xp.linalg.svdvals, _DIVERGED, x))
