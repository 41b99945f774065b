"""Factorizations of matrices: Cholesky, QR, eigenvalues and singular values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    """Eigenvalues and eigenvectors, from `eigh` or `eig`."""

    eigenvalues: Variable
    eigenvectors: Variable


class _QR(NamedTuple):
    """The factors of `qr`."""

    Q: Variable
    R: Variable


class _SVD(NamedTuple):
    """The factors of `svd`."""

    U: Variable
    S: Variable
    Vh: Variable


def _transposed(x: Variable) -> Variable:
    x = matrix_transpose(x)
    return conj(x) if is_complex(x) else x


def _is_recorded(x: Variable) -> bool:
    return mode.enabled and x.requires_grad


def cholesky(x: ArrayLike, /, *, upper: bool = False) -> Variable:
    """The lower triangular matrix L with ``x = L @ L^H``, or with ``upper`` the matrix U with ``x = U^H @ U``.

    Parameters
    ----------
    x : Variable or array, (..., n, n)
        Symmetric (complex: Hermitian) and positive definite. The gradient is symmetric, too.
    upper : bool

    Returns
    -------
    Variable
        Of shape (..., n, n).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite. The error is a ValueError, too. Inside ``jax.jit`` no value can be
        checked, and the result is nan instead.
    """
    out = primitives.cholesky(matrices_of(x, "cholesky", square=True))
    if not upper:
        return out
    return _transposed(out)


def eigh(x: ArrayLike, /) -> _Eigen:
    """The eigenvalues and eigenvectors of symmetric or Hermitian matrices.

    Gradients are correct for results that do not depend on the signs or phases of the eigenvectors, or on the basis
    that was chosen for the eigenvectors of equal eigenvalues. The gradients of other results are not defined: they are
    huge, infinite or nan. Second derivatives are nan if eigenvalues are equal.

    Parameters
    ----------
    x : Variable or array, (..., n, n)

    Returns
    -------
    named tuple (eigenvalues, eigenvectors)
        The eigenvalues, (..., n), are real and rise. The columns of ``eigenvectors``, (..., n, n), are orthonormal.
    """
    return _Eigen(*primitives.eigh(matrices_of(x, "eigh", square=True)))


def eigvalsh(x: ArrayLike, /) -> Variable:
    """The eigenvalues of `eigh`, without the eigenvectors."""
    x = matrices_of(x, "eigvalsh", square=True)
    return primitives.eigh(x)[0] if _is_recorded(x) else primitives.eigvalsh(x)


def eig(x: ArrayLike, /) -> _Eigen:
    """The eigenvalues and eigenvectors of square matrices.

    Gradients are correct for results that do not depend on the phases of the eigenvectors, if the eigenvalues are
    distinct.

    Parameters
    ----------
    x : Variable or array, (..., n, n)

    Returns
    -------
    named tuple (eigenvalues, eigenvectors)
        Both are complex. The eigenvalues, (..., n), are in no order. The columns of ``eigenvectors``, (..., n, n), have
        norm 1.
    """
    return _Eigen(*primitives.eig(matrices_of(x, "eig", square=True)))


def eigvals(x: ArrayLike, /) -> Variable:
    """The eigenvalues of `eig`, without the eigenvectors."""
    x = matrices_of(x, "eigvals", square=True)
    return primitives.eig(x)[0] if _is_recorded(x) else primitives.eigvals(x)


def qr(x: ArrayLike, /, *, mode: str = "reduced") -> _QR:
    """The factors of ``x = Q @ R``: orthonormal columns Q and an upper triangular matrix R.

    Parameters
    ----------
    x : Variable or array, (..., m, n)
        Gradients need independent columns: the first min(m, n).
    mode : {"reduced", "complete"}
        "reduced": Q has min(m, n) columns. "complete": Q has m columns.

    Returns
    -------
    named tuple (Q, R)

    Raises
    ------
    ValueError
        In backward, if "complete" added columns. They are arbitrary and have no gradient, as in PyTorch.
    """
    x = matrices_of(x, "qr")
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode is 'reduced' or 'complete', not {mode!r}")
    m, n = x.shape[-2:]
    if not _is_recorded(x):
        return _QR(*primitives.qr(x, mode))
    if n <= m:
        return _QR(*primitives.qr(x, mode))
    q, r = primitives.qr(x[..., :m], "reduced")
    return _QR(q, concat([r, matmul(_transposed(q), x[..., m:])], axis=-1))


def svd(x: ArrayLike, /, *, full_matrices: bool = True) -> _SVD:
    """The singular value decomposition ``x = U @ diag(S) @ Vh``. The singular values fall.

    Gradients are correct for results that do not depend on the signs or phases of the singular vectors, or on the bases
    for equal values; see `eigh`.

    Parameters
    ----------
    x : Variable or array, (..., m, n)
    full_matrices : bool
        Whether U and Vh are square; if not, U has min(m, n) columns and Vh has min(m, n) rows. The added columns and
        rows are arbitrary: their gradients are ignored, as in PyTorch.

    Returns
    -------
    named tuple (U, S, Vh)
    """
    x = matrices_of(x, "svd")
    return _SVD(*primitives.svd(x, full_matrices))


def svdvals(x: ArrayLike, /) -> Variable:
    """The singular values of `svd`, without the singular vectors."""
    x = matrices_of(x, "svdvals")
    return primitives.svd(x, False)[1] if _is_recorded(x) else primitives.svdvals(x)
