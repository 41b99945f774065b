"""NumPy's linear algebra, with compiled inverses; and vector norms in one pass, where a sum of squares is safe."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, multiply

from ..kernels import linalg as plain
from ..numba.overrides import either
from .namespace import full_namespace

if TYPE_CHECKING:
    from ..base import Array

_sum: Callable[..., Any] = add.reduce
#: dtype -> the smallest sum of squares that has lost nothing to squares that underflowed.
_SAFE_SUM = {
    dtype: float(numpy.finfo(dtype).tiny) / float(numpy.finfo(dtype).eps) ** 2 for dtype in map(numpy.dtype, "efdg")
}


def vector_norm(x: Array, axes: tuple[int, ...], order: float, keepdims: bool) -> Array:
    """As the plain version. A Euclidean norm is computed without scaling first, and again by the plain version if a sum
    overflowed or is too small.
    """
    if order == 2 and x.dtype.kind in "fc":
        with numpy.errstate(over="ignore", under="ignore"):
            squares = multiply(x, x) if x.dtype.kind == "f" else multiply(x.real, x.real) + multiply(x.imag, x.imag)
            total = numpy.asarray(_sum(squares, axes, None, None, keepdims))
        if total.size and total.min() > _SAFE_SUM[total.dtype] and total.max() < numpy.inf:
            return numpy.sqrt(total)
    return plain.vector_norm(full_namespace(), x, axes, order, keepdims)


def functions() -> SimpleNamespace:
    """The functions of ``xp.linalg``. array-api-compat repairs those that differ from the standard."""
    from array_api_compat.numpy import linalg

    return SimpleNamespace(**{**vars(linalg), "inv": either("linalg.inv", linalg.inv)})


OVERRIDES: dict[str, Callable[..., Any]] = {"vector_norm": vector_norm}
