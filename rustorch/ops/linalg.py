"""The extension ``linalg``: factorizations, inverses, determinants; their derivatives stand in factorizations.py."""

from __future__ import annotations

from operator import index
from typing import Any, NamedTuple

from ..autograd.check import adopt
from ..autograd.graph import Value, mode
from ..backends import dtypes
from . import elementwise, factorizations, statistical
from .creation import eye
from .data_type import finfo
from .helpers import is_complex
from .linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from .manipulation import broadcast_to, concat, expand_dims, squeeze
from .norms import cross, diagonal, matrix_norm, outer, trace, vector_norm

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


class _Eigen(NamedTuple):
    """What `eigh` and `eig` return."""

    eigenvalues: Any
    eigenvectors: Any


class _QR(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


class _Slogdet(NamedTuple):
    """What `slogdet` returns."""

    sign: Any
    logabsdet: Any


class _SVD(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


def _matrices(x: Any, name: str, square: bool = False) -> Any:
    """The argument as a Variable of floating-point matrices."""
    x = adopt(x, name)
    shape = tuple(x.shape)
    if len(shape) < 2:
        raise ValueError(f"{name} needs at least two dimensions, not the shape {shape}")
    if square and shape[-1] != shape[-2]:
        raise ValueError(f"{name} is of square matrices, not of the shape {shape}")
    if not dtypes.is_floating(x.dtype):
        raise TypeError(f"{name} is of floating-point arrays, not {x.dtype}; convert with x.astype(rustorch.float32)")
    return x


def _transposed(x: Any) -> Any:
    x = matrix_transpose(x)
    return elementwise.conj(x) if is_complex(x) else x


def _recorded(x: Any) -> bool:
    return mode.enabled and x.requires_grad


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """The lower triangular L of ``x = L @ L^H``, or with ``upper`` the U of ``x = U^H @ U``.

    Parameters
    ----------
    x : Variable or array, (..., n, n)
        Symmetric (complex: Hermitian) and positive definite; the gradient is symmetric, too.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite; it is a ValueError, too. (Inside of ``jax.jit`` nobody can look: the
        answer is nan there.)
    """
    out = factorizations.cholesky(_matrices(x, "cholesky", square=True))
    if not upper:
        return out
    return _transposed(out)


def det(x: Any, /) -> Any:
    """Determinants of square matrices, (..., n, n).

    Singular matrices have their right gradients, the cofactors, and second derivatives. (PyTorch's first gradient there
    is 0 unless it is computed with ``create_graph=True``.) Third derivatives need distinct singular values there.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> rustorch.linalg.det(x).backward()
    >>> x.grad.round(3).tolist()
    [[4.0, -2.0], [-2.0, 1.0]]
    """
    return factorizations.det(_matrices(x, "det", square=True))


def slogdet(x: Any, /) -> _Slogdet:
    """Sign and logarithm of the absolute value of determinants, named ``sign`` and ``logabsdet``: no overflow.

    Raises
    ------
    ValueError
        In backward, if a matrix is singular: the logarithm, -inf, has no gradient there.
    """
    return _Slogdet(*factorizations.slogdet(_matrices(x, "slogdet", square=True)))


def inv(x: Any, /) -> Any:
    """Inverses of square matrices, (..., n, n).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular; it is a ValueError, too. (Inside of ``jax.jit`` nobody can look: the answer is infinite
        or nan there.)
    """
    return factorizations.inv(_matrices(x, "inv", square=True))


def solve(x1: Any, x2: Any, /) -> Any:
    """The ``x`` of ``x1 @ x = x2``.

    Parameters
    ----------
    x1 : Variable or array, (..., n, n)
    x2 : Variable or array, (n,) or (..., n, k)
        The leading axes broadcast.

    Raises
    ------
    ValueError
        If sizes do not fit; if a matrix is singular, as in `inv`.
    """
    x1, x2 = adopt(x1, "solve", (x2,)), adopt(x2, "solve", (x1,))
    x1 = _matrices(x1, "solve", square=True)
    vector = x2.ndim == 1
    x2 = _matrices(expand_dims(x2, axis=1) if vector else x2, "solve")
    if x2.shape[-2] != x1.shape[-1]:
        raise ValueError(
            f"solve: shapes {x1.shape} and {x2.shape[:1] if vector else x2.shape} differ in the number of equations"
        )
    out = factorizations.solve(x1, x2)
    return squeeze(out, axis=-1) if vector else out


def eigh(x: Any, /) -> _Eigen:
    """Eigenvalues, in rising order, and orthonormal eigenvectors, in columns, of symmetric or Hermitian matrices, (...,
    n, n).

    Gradients are right for what does not depend on the signs or phases of the eigenvectors, nor on which of the bases
    of their span those of equal eigenvalues are. For what does depend on that, they are not defined: they come out
    huge, infinite or nan. Second derivatives need distinct eigenvalues; else they are nan.

    Returns
    -------
    (eigenvalues, eigenvectors)
        Named; the eigenvalues are real.
    """
    return _Eigen(*factorizations.eigh(_matrices(x, "eigh", square=True)))


def eigvalsh(x: Any, /) -> Any:
    """The eigenvalues that `eigh` returns."""
    x = _matrices(x, "eigvalsh", square=True)
    return factorizations.eigh(x)[0] if _recorded(x) else factorizations.eigvalsh(x)


def eig(x: Any, /) -> _Eigen:
    """Eigenvalues and eigenvectors of norm 1, in columns, of any square matrices, (..., n, n); both complex, in no
    order.

    Gradients are right for what does not depend on the phases of the eigenvectors, where the eigenvalues are distinct.

    Returns
    -------
    (eigenvalues, eigenvectors)
        Named.
    """
    return _Eigen(*factorizations.eig(_matrices(x, "eig", square=True)))


def eigvals(x: Any, /) -> Any:
    """The eigenvalues that `eig` returns."""
    x = _matrices(x, "eigvals", square=True)
    return factorizations.eig(x)[0] if _recorded(x) else factorizations.eigvals(x)


def qr(x: Any, /, *, mode: str = "reduced") -> _QR:
    """Orthonormal columns Q and upper triangular R with ``x = Q @ R``.

    Parameters
    ----------
    x : Variable or array, (..., m, n)
        For gradients, its first min(m, n) columns must be independent.
    mode : {"reduced", "complete"}
        Whether Q has min(m, n) columns or m.

    Returns
    -------
    (Q, R)
        Named.

    Raises
    ------
    ValueError
        In backward, if "complete" added columns: they are arbitrary, and have no gradient. As in PyTorch.
    """
    x = _matrices(x, "qr")
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode is 'reduced' or 'complete', not {mode!r}")
    m, n = x.shape[-2:]
    if not _recorded(x):
        return _QR(*factorizations.qr(x, mode))
    if n <= m:
        return _QR(*factorizations.qr(x, mode))
    q, r = factorizations.qr(x[..., :m], "reduced")
    return _QR(q, concat([r, matmul(_transposed(q), x[..., m:])], axis=-1))


def svd(x: Any, /, *, full_matrices: bool = True) -> _SVD:
    """Singular value decomposition ``x = U @ diag(S) @ Vh``, the singular values falling.

    Gradients are right for what does not depend on the signs or phases of the singular vectors, or on the bases of
    equal values; see `eigh`.

    Parameters
    ----------
    x : Variable or array, (..., m, n)
    full_matrices : bool
        Whether U and Vh are square, or have min(m, n) columns and rows. What this adds is arbitrary, as long as it is
        orthonormal: gradients that reach it are ignored, as in PyTorch.

    Returns
    -------
    (U, S, Vh)
        Named.
    """
    x = _matrices(x, "svd")
    return _SVD(*factorizations.svd(x, full_matrices))


def svdvals(x: Any, /) -> Any:
    """The singular values that `svd` returns."""
    x = _matrices(x, "svdvals")
    return factorizations.svd(x, False)[1] if _recorded(x) else factorizations.svdvals(x)


def _tolerance(x: Any, rtol: Any) -> Any:
    """The relative size below which a singular value counts as zero."""
    return max(x.shape[-2:]) * finfo(x.dtype).eps if rtol is None else rtol


def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """Pseudo-inverses of matrices, (..., m, n); singular values up to ``rtol`` times the largest count as zero.

    Parameters
    ----------
    x : Variable or array
    rtol : float, or Variable or array of shape (...), optional
        Default: the larger of m and n times the precision of the dtype.
    """
    x = _matrices(x, "pinv")
    rtol = _tolerance(x, rtol)
    return factorizations.pinv(x, rtol._native if isinstance(rtol, Value) else rtol)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """How many singular values are larger than ``rtol`` times the largest, as int64; parameters as in `pinv`."""
    x = _matrices(x, "matrix_rank")
    rtol = _tolerance(x, rtol)
    s = svdvals(x.detach())
    if not s.shape[-1]:
        return statistical.sum(s, axis=-1).astype(dtypes.int64)
    if type(rtol) not in (int, float):
        rtol = expand_dims(adopt(rtol, "matrix_rank", (x,)), axis=-1)
    return statistical.sum((s > statistical.max(s, axis=-1, keepdims=True) * rtol).astype(dtypes.int64), axis=-1)


def matrix_power(x: Any, n: int, /) -> Any:
    """The ``n``-th power of square matrices, (..., k, k), by repeated squaring; a negative one is a power of the
    inverse.
    """
    x, n = _matrices(x, "matrix_power", square=True), index(n)
    if n == 0:
        return broadcast_to(eye(x.shape[-1], dtype=x.dtype, device=x.device), x.shape)
    if n < 0:
        x, n = inv(x), -n
    out = None
    while n:
        if n & 1:
            out = x if out is None else matmul(out, x)
        n >>= 1
        if n:
            x = matmul(x, x)
    return out
