"""Factorizations of matrices: Cholesky, QR, eigenvalues and singular values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ...autograd.modes import mode
from ..complex_numbers import is_complex
from ..elementwise import conj
from ..joining import concat
from . import primitives
from .checks import matrices_of
from .products import matmul, matrix_transpose

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable

__all__ = ["cholesky", "eig", "eigh", "eigvals", "eigvalsh", "qr", "svd", "svdvals"]


class _Eigen(NamedTuple):
    """What `eigh` and `eig` return."""

    eigenvalues: Any
    eigenvectors: Any


class _QR(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


class _SVD(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


def _transposed(x: ArrayLike) -> Any:
    x = matrix_transpose(x)
    return conj(x) if is_complex(x) else x


def _recorded(x: ArrayLike) -> bool:
    return mode.enabled and x.requires_grad


def cholesky(x: ArrayLike, /, *, upper: bool = False) -> Variable:
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
    out = primitives.cholesky(matrices_of(x, "cholesky", square=True))
    if not upper:
        return out
    return _transposed(out)


def eigh(x: ArrayLike, /) -> _Eigen:
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
    return _Eigen(*primitives.eigh(matrices_of(x, "eigh", square=True)))


def eigvalsh(x: ArrayLike, /) -> Variable:
    """The eigenvalues that `eigh` returns."""
    x = matrices_of(x, "eigvalsh", square=True)
    return primitives.eigh(x)[0] if _recorded(x) else primitives.eigvalsh(x)


def eig(x: ArrayLike, /) -> _Eigen:
    """Eigenvalues and eigenvectors of norm 1, in columns, of any square matrices, (..., n, n); both complex, in no
    order.

    Gradients are right for what does not depend on the phases of the eigenvectors, where the eigenvalues are distinct.

    Returns
    -------
    (eigenvalues, eigenvectors)
        Named.
    """
    return _Eigen(*primitives.eig(matrices_of(x, "eig", square=True)))


def eigvals(x: ArrayLike, /) -> Variable:
    """The eigenvalues that `eig` returns."""
    x = matrices_of(x, "eigvals", square=True)
    return primitives.eig(x)[0] if _recorded(x) else primitives.eigvals(x)


def qr(x: ArrayLike, /, *, mode: str = "reduced") -> _QR:
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
    x = matrices_of(x, "qr")
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode is 'reduced' or 'complete', not {mode!r}")
    m, n = x.shape[-2:]
    if not _recorded(x):
        return _QR(*primitives.qr(x, mode))
    if n <= m:
        return _QR(*primitives.qr(x, mode))
    q, r = primitives.qr(x[..., :m], "reduced")
    return _QR(q, concat([r, matmul(_transposed(q), x[..., m:])], axis=-1))


def svd(x: ArrayLike, /, *, full_matrices: bool = True) -> _SVD:
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
    x = matrices_of(x, "svd")
    return _SVD(*primitives.svd(x, full_matrices))


def svdvals(x: ArrayLike, /) -> Variable:
    """The singular values that `svd` returns."""
    x = matrices_of(x, "svdvals")
    return primitives.svd(x, False)[1] if _recorded(x) else primitives.svdvals(x)
