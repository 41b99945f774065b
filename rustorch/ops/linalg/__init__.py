"""The extension ``linalg`` of the standard: products, norms, inverses and factorizations of matrices."""

from __future__ import annotations

from .factorizations import cholesky, eig, eigh, eigvals, eigvalsh, qr, svd, svdvals
from .inverses import det, inv, matrix_power, matrix_rank, pinv, slogdet, solve
from .norms import matrix_norm, vector_norm
from .products import matmul, matrix_transpose, tensordot, vecdot
from .vectors import cross, diagonal, outer, trace

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
