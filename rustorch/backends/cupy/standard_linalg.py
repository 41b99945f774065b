"""The standard's linear algebra on CuPy, with the answers of the CPU where CuPy ignores the status of cuSOLVER.

cuSOLVER promises nothing for matrices with nan or infinities, so it never gets them. To raise an error, the host has to
wait for the GPU. Only the functions that raise on the CPU do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat.cupy
import cupy
import cupyx
import numpy

from ..base import Array

_Function = Callable[..., Any]
_IsBad = Callable[[Array], Array]


def _is_not_finite(x: Array) -> Array:
    return ~cupy.isfinite(x)


#: Functions that raise for nan (or infinities), as NumPy does: which elements are bad, and the message of the error.
_RAISES_FOR_VALUES: dict[str, tuple[_IsBad, str]] = {
    "svd": (cupy.isnan, "SVD did not converge"),
    "svdvals": (cupy.isnan, "SVD did not converge"),
    "pinv": (cupy.isnan, "SVD did not converge"),
    "eig": (_is_not_finite, "Array must not contain infs or NaNs"),
    "eigvals": (_is_not_finite, "Array must not contain infs or NaNs"),
}
#: Functions that return nan for nan (or infinities): which elements are bad.
_RETURNS_NAN: dict[str, _IsBad] = {
    "inv": cupy.isnan,
    "cholesky": cupy.isnan,
    "eigh": _is_not_finite,
    "eigvalsh": _is_not_finite,
}
#: Functions that raise where there is no result.
_RAISES_WITHOUT_RESULT = {"inv", "solve", "cholesky", "svd", "svdvals", "pinv"}


def function(name: str) -> _Function:
    """The function of ``linalg`` by name, with the checks that CuPy leaves out."""
    checked = solve if name == "solve" else getattr(array_api_compat.cupy.linalg, name)
    if name in _RAISES_WITHOUT_RESULT:
        checked = _raise_without_result(checked)
    if name in _RAISES_FOR_VALUES:
        checked = _raise_for_values(checked, *_RAISES_FOR_VALUES[name])
    return _return_nan(checked, _RETURNS_NAN[name]) if name in _RETURNS_NAN else checked


def _raise_without_result(function: _Function) -> _Function:
    def run(*args: Any, **options: Any) -> Any:
        with cupyx.errstate(linalg="raise"):
            return function(*args, **options)

    return run


def _raise_for_values(function: _Function, is_bad: _IsBad, message: str) -> _Function:
    def run(x: Array, *args: Any, **options: Any) -> Any:
        if x.size and bool(is_bad(x).any()):
            raise numpy.linalg.LinAlgError(message)
        return function(x, *args, **options)

    return run


def _return_nan(function: _Function, is_bad: _IsBad) -> _Function:
    def run(x: Array, *args: Any, **options: Any) -> Any:
        if not x.size or x.ndim < 2 or x.shape[-1] != x.shape[-2]:
            return function(x, *args, **options)
        bad, safe = _replace_bad(x, is_bad)
        out = function(safe, *args, **options)
        if isinstance(out, tuple):
            return type(out)(*[_nan_where_bad(part, bad, x) for part in out])
        return _nan_where_bad(out, bad, x)

    return run


def _replace_bad(x: Array, is_bad: _IsBad) -> tuple[Array, Array]:
    """Which matrices are bad, (..., 1, 1), and the stack with identity matrices instead of the bad ones."""
    bad = is_bad(x).any(axis=(-2, -1), keepdims=True)
    return bad, cupy.where(bad, cupy.eye(x.shape[-1], dtype=x.dtype), x)


def _nan_where_bad(part: Array, bad: Array, x: Array) -> Array:
    """The result, with nan for the bad matrices."""
    return cupy.where(bad if part.ndim == x.ndim else bad[..., 0], part.dtype.type(numpy.nan), part)


def solve(x1: Array, x2: Array) -> Array:
    """CuPy's solve for leading axes that broadcast.

    CuPy reports no singular matrix of a stack, so this function looks at the determinants.
    """
    lead = numpy.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    x1, x2 = (cupy.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (x1, x2))
    bad, safe = _replace_bad(x1, cupy.isnan)
    if lead and x1.size and bool((cupy.linalg.slogdet(safe)[0] == 0).any()):
        raise numpy.linalg.LinAlgError("singular")
    return _nan_where_bad(cupy.linalg.solve(safe, x2), bad, x1)
