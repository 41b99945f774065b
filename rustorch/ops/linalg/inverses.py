"""Inverses, solutions of linear equations, determinants, ranks and powers of matrices."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

from ...autograd.check import adopt
from ...autograd.graph import Value
from ...backends import dtypes
from .. import statistical
from ..creation import eye
from ..data_type import finfo
from ..manipulation import broadcast_to, expand_dims, squeeze
from . import primitives
from .checks import matrices_of
from .factorizations import svdvals
from .products import matmul

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable

__all__ = ["det", "inv", "matrix_power", "matrix_rank", "pinv", "slogdet", "solve"]


class _Slogdet(NamedTuple):
    """The results of `slogdet`."""

    sign: Variable
    logabsdet: Variable


def det(x: ArrayLike, /) -> Variable:
    """The determinants of square matrices, (..., n, n).

    The gradient and second derivatives are correct for singular matrices, too. (PyTorch's gradient of a singular matrix
    is 0 unless it is computed with ``create_graph=True``.) Third derivatives of a singular matrix need distinct
    singular values.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> rustorch.linalg.det(x).backward()
    >>> x.grad.round(3).tolist()
    [[4.0, -2.0], [-2.0, 1.0]]
    """
    return primitives.det(matrices_of(x, "det", square=True))


def slogdet(x: ArrayLike, /) -> _Slogdet:
    """The sign of determinants, and the logarithm of their absolute value, which does not overflow.

    Returns
    -------
    named tuple (sign, logabsdet)

    Raises
    ------
    ValueError
        In backward, if a matrix is singular: the logarithm -inf has no gradient.
    """
    return _Slogdet(*primitives.slogdet(matrices_of(x, "slogdet", square=True)))


def inv(x: ArrayLike, /) -> Variable:
    """The inverses of square matrices, (..., n, n).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular. The error is a ValueError, too. Inside ``jax.jit`` no value can be checked, and the
        result is infinite or nan instead.
    """
    return primitives.inv(matrices_of(x, "inv", square=True))


def solve(x1: ArrayLike, x2: ArrayLike, /) -> Variable:
    """The solution ``x`` of ``x1 @ x = x2``.

    Parameters
    ----------
    x1 : Variable or array, (..., n, n)
    x2 : Variable or array, (n,) or (..., n, k)
        The leading axes broadcast.

    Raises
    ------
    ValueError
        If the sizes do not fit, or a matrix is singular, as in `inv`.
    """
    x1, x2 = adopt(x1, "solve", (x2,)), adopt(x2, "solve", (x1,))
    x1 = matrices_of(x1, "solve", square=True)
    vector = x2.ndim == 1
    x2 = matrices_of(expand_dims(x2, axis=1) if vector else x2, "solve")
    if x2.shape[-2] != x1.shape[-1]:
        raise ValueError(
            f"solve: shapes {x1.shape} and {x2.shape[:1] if vector else x2.shape} differ in the number of equations"
        )
    out = primitives.solve(x1, x2)
    return squeeze(out, axis=-1) if vector else out


def _tolerance(x: Variable, rtol: Any) -> Any:
    """The part of the largest singular value up to which another one counts as zero."""
    return max(x.shape[-2:]) * finfo(x.dtype).eps if rtol is None else rtol


def pinv(x: ArrayLike, /, *, rtol: Any = None) -> Variable:
    """The pseudo-inverses of matrices.

    Parameters
    ----------
    x : Variable or array, (..., m, n)
    rtol : float, or Variable or array of shape (...), optional
        Singular values up to ``rtol`` times the largest one count as zero. Default: the larger of m and n, times the
        precision of the dtype.

    Returns
    -------
    Variable
        Of shape (..., n, m).
    """
    x = matrices_of(x, "pinv")
    rtol = _tolerance(x, rtol)
    return primitives.pinv(x, rtol._native if isinstance(rtol, Value) else rtol)


def matrix_rank(x: ArrayLike, /, *, rtol: Any = None) -> Variable:
    """The number of singular values above ``rtol`` times the largest one, as int64; parameters as in `pinv`."""
    x = matrices_of(x, "matrix_rank")
    rtol = _tolerance(x, rtol)
    s = svdvals(x.detach())
    if not s.shape[-1]:
        return statistical.sum(s, axis=-1).astype(dtypes.int64)
    if type(rtol) not in (int, float):
        rtol = expand_dims(adopt(rtol, "matrix_rank", (x,)), axis=-1)
    return statistical.sum((s > statistical.max(s, axis=-1, keepdims=True) * rtol).astype(dtypes.int64), axis=-1)


def matrix_power(x: ArrayLike, n: int, /) -> Variable:
    """The n-th power of square matrices, (..., k, k). A negative power is a power of the inverse."""
    x, n = matrices_of(x, "matrix_power", square=True), index(n)
    if n == 0:
        return broadcast_to(eye(x.shape[-1], dtype=x.dtype, device=x.device), x.shape)
    if n < 0:
        x, n = inv(x), -n
    out: Any = None
    while n:  # square repeatedly
        if n & 1:
            out = x if out is None else matmul(out, x)
        n >>= 1
        if n:
            x = matmul(x, x)
    power: Variable = out
    return power
