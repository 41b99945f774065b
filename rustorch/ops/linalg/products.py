"""Products of matrices and vectors: matmul, vecdot, tensordot."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ...autograd.check import adopt, common_backend, mixed_kinds, no_lists
from ...autograd.graph import Value
from ...autograd.primitive import Primitive
from ...backends import of
from ..arguments import integer, one_axis
from ..complex_numbers import conjugate, is_complex
from ..elementwise import conj, multiply
from ..manipulation import expand_dims, moveaxis, permute_dims, reshape, squeeze
from ..statistical import sum

if TYPE_CHECKING:
    from ...typing import Array, ArrayLike, Namespace
    from ...variable import Variable

__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]


def _matmul_right(xp: Namespace, g: Array, x1: Array, x2_shape: tuple[int, ...]) -> Array:
    """The gradient of ``x2``. If one matrix multiplied a batch, a single product computes it, without a sum."""
    if len(x2_shape) == 2 and x1.ndim > 2 and 0 not in x1.shape:
        rows = -1 if g.shape[-1] else prod(x1.shape[:-1])
        x1, g = xp.reshape(x1, (rows, x1.shape[-1])), xp.reshape(g, (rows, g.shape[-1]))
    return xp.matmul(conjugate(xp, xp.matrix_transpose(x1)), g)


def _times_vector_right(xp: Namespace, g: Array, x1: Array) -> Array:
    x1 = conjugate(xp, x1)
    return g * x1 if x1.ndim == 1 else xp.matmul(xp.matrix_transpose(x1), g)


_matmul = Primitive(
    "matmul",
    lambda xp, x1, x2, /: xp.matmul(x1, x2),
    x1=lambda xp, g, x2: xp.matmul(g, conjugate(xp, xp.matrix_transpose(x2))),
    x2=_matmul_right,
)
#: A vector or a matrix times a vector. As a product of two matrices, small ones took twice as long: 10 to 13 us, not 5.
_times_vector = Primitive(
    "times_vector",
    lambda xp, x1, x2, /: xp.matmul(x1, x2),
    x1=lambda xp, g, x2: g[..., None] * conjugate(xp, x2),
    x2=_times_vector_right,
)
_times_vector.name = "matmul"  # the name of the function in messages
_matrix_transpose = Primitive(
    "matrix_transpose",
    lambda xp, x, /: xp.matrix_transpose(x),
    x=lambda xp, g: xp.matrix_transpose(g),
)


def _operands(name: str, x1: ArrayLike, x2: ArrayLike) -> tuple[Variable, Variable]:
    x1, x2 = adopt(x1, name, (x2,)), adopt(x2, name, (x1,))
    if x1._native.dtype is not x2._native.dtype:
        mixed_kinds(name, common_backend(name, (x1, x2)), x1._native, x2._native)
    return x1, x2


def matmul(x1: ArrayLike, x2: ArrayLike, /) -> Variable:
    """The matrix product ``x1 @ x2``.

    Parameters
    ----------
    x1, x2 : Variable or array
        Matrices of shapes (..., n, k) and (..., k, m), whose leading axes broadcast. Each may be a vector, (k,).

    Returns
    -------
    Variable
        Of shape (..., n, m). A vector ``x1`` leaves n out, and a vector ``x2`` leaves m out.

    Raises
    ------
    ValueError
        If the inner sizes differ, the leading axes do not broadcast, or an operand has no dimensions.
    TypeError
        If the standard does not promote the two dtypes.
    """
    x1, x2 = _operands("matmul", x1, x2)
    one, two = x1._native.ndim, x2._native.ndim
    if not one or not two or x1._native.shape[-1] != x2._native.shape[-2 if two > 1 else 0]:
        raise ValueError(
            f"matmul: shapes {x1.shape} and {x2.shape} do not multiply: the last size of the first must equal the "
            f"{'second to last' if two > 1 else 'last'} of the second"
        )
    if one > 1 and two > 1:
        return _matmul(x1, x2)
    if two == 1 and one <= 2:
        return _times_vector(x1, x2)
    out = _matmul(expand_dims(x1, axis=0) if one == 1 else x1, expand_dims(x2, axis=1) if two == 1 else x2)
    return squeeze(out, axis=tuple([axis for axis, n in ((-2, one), (-1, two)) if n == 1]))


def matmul_operator(x1: ArrayLike, x2: ArrayLike) -> Variable:
    """``x1 @ x2`` as `matmul`. NotImplemented for an operand that no backend knows."""
    if all(isinstance(x, Value) or of(x) is not None for x in (x1, x2)):
        return matmul(x1, x2)
    no_lists("matmul", x1, x2)
    return NotImplemented  # type: ignore[no-any-return] # as operators do


def reflected_matmul(x2: ArrayLike, x1: ArrayLike) -> Variable:
    """``x1 @ x2`` for a call of Python on ``x2``."""
    return matmul_operator(x1, x2)


def matrix_transpose(x: ArrayLike, /) -> Variable:
    """Swap the last two axes.

    Raises
    ------
    ValueError
        If ``x`` has fewer than two dimensions.
    """
    x = adopt(x, "matrix_transpose")
    if x._native.ndim < 2:
        raise ValueError(f"matrix_transpose needs at least two dimensions, not the shape {x.shape}")
    return _matrix_transpose(x)


def vecdot(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Variable:
    """The sum of ``conj(x1) * x2`` along an axis. The other axes broadcast.

    Parameters
    ----------
    x1, x2 : Variable or array
    axis : int
        An axis of both arrays, with equal sizes.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If the sizes along the axis differ.
    """
    x1, x2 = adopt(x1, "vecdot", (x2,)), adopt(x2, "vecdot", (x1,))
    one, two = one_axis(axis, x1.ndim), one_axis(axis, x2.ndim)
    if x1.shape[one] != x2.shape[two]:
        raise ValueError(
            f"vecdot: sizes {x1.shape[one]} and {x2.shape[two]} along axis {axis} of shapes {x1.shape} and {x2.shape} "
            f"differ"
        )
    x1, x2 = moveaxis(x1, one, -1), moveaxis(x2, two, -1)
    products = multiply(conj(x1) if is_complex(x1) else x1, x2)
    return sum(products, axis=-1, dtype=products.dtype)


def tensordot(x1: ArrayLike, x2: ArrayLike, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Variable:
    """The sum of products over pairs of axes.

    Parameters
    ----------
    x1, x2 : Variable or array
    axes : int, or (axes of x1, axes of x2)
        An integer n: the last n axes of ``x1`` and the first n axes of ``x2``.

    Returns
    -------
    Variable
        Its axes are the other axes of ``x1``, followed by the other axes of ``x2``.

    Raises
    ------
    ValueError
        If the sizes of a pair differ.
    """
    x1, x2 = _operands("tensordot", x1, x2)
    if not isinstance(axes, (tuple, list)):
        axes = integer("tensordot", "axes, where it is no pair of sequences,", axes)
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise ValueError(f"tensordot: axes={axes} is more than shapes {x1.shape} and {x2.shape} have, or negative")
        one, two = tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes))
    else:
        one = tuple([one_axis(axis, x1.ndim) for axis in axes[0]])
        two = tuple([one_axis(axis, x2.ndim) for axis in axes[1]])
    if [x1.shape[i] for i in one] != [x2.shape[i] for i in two]:
        raise ValueError(f"tensordot: axes {one} of shape {x1.shape} and {two} of shape {x2.shape} differ in size")
    rest1 = tuple([i for i in range(x1.ndim) if i not in one])
    rest2 = tuple([i for i in range(x2.ndim) if i not in two])
    shape1, shape2 = tuple([x1.shape[i] for i in rest1]), tuple([x2.shape[i] for i in rest2])
    inner = prod([x1.shape[i] for i in one])
    left = reshape(permute_dims(x1, rest1 + one), (prod(shape1), inner))
    right = reshape(permute_dims(x2, two + rest2), (inner, prod(shape2)))
    return reshape(_matmul(left, right), shape1 + shape2)
