"""``cupy.linalg``: LAPACK in the place of cuSOLVER, which does not look at values unless ``cupyx.errstate`` says so,
and then waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupyx
import numpy
from numpy.linalg import LinAlgError

from ._array import ndarray, wrapped
from ._functions import checked, on_device, signatures
from ._log import launch, record

#: They look at cuSOLVER's report where errors are asked for.
_REPORTING = {"cholesky", "eigh", "eigvalsh", "inv", "qr", "solve", "svd"}
#: What NumPy says of values, not of shapes.
_OF_VALUES = ("singular", "definite", "converge", "infs or nans")


def _factorization(name: str, compute: Callable) -> Callable:
    on_gpu = on_device(name, compute, "linalg.")

    def call(a: Any, *args: Any, **options: Any) -> Any:
        arrays = [a, *args[:1]] if name == "solve" else [a]
        for array in arrays:
            if not isinstance(array, ndarray):
                raise LinAlgError("cupy.linalg only supports cupy.ndarray")
            if array.dtype == "float16":
                raise TypeError("float16 is unsupported in linalg")
        # a stack of systems is solved without a report
        looks = name in _REPORTING and cupyx.geterr()["linalg"] == "raise" and not (name == "solve" and a.ndim > 2)
        if name == "solve":
            _check_solve(*arrays)
        if looks:
            record("sync", f"linalg.{name}")
        try:
            return on_gpu(a, *args, **options)
        except LinAlgError as error:
            if looks or not any(word in str(error).lower() for word in _OF_VALUES):
                raise
        launch(f"linalg.{name}", a.size)
        return _nan_in_form_of(compute(*[_harmless(array) for array in arrays], *args[len(arrays) - 1 :], **options))

    return call


def _check_solve(a: ndarray, b: ndarray) -> None:
    if b.ndim == 0:
        raise ValueError("b must have at least one dimension")
    if b.ndim > 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if b.ndim == 1 and a.shape[-1] != b.size:
        raise ValueError("a must have (..., M, M) shape and b must have (M,) for one-dimensional b")


def _harmless(array: ndarray) -> numpy.ndarray:
    """Values that every function takes, in the form of an array."""
    values = numpy.zeros(array.shape, array.dtype)
    diagonal = numpy.einsum("...ii->...i", values) if array.ndim > 1 and array.shape[-1] == array.shape[-2] else values
    diagonal[...] = 1
    return values


def _nan_in_form_of(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple([_nan_in_form_of(part) for part in result])
    return wrapped(numpy.full(result.shape, numpy.nan, result.dtype))


def _table() -> dict[str, Callable]:
    found: dict[str, Callable] = {}
    for name in signatures("linalg"):
        compute = getattr(numpy.linalg, name)
        takes_matrices = name in _REPORTING or name in ("det", "slogdet", "eig", "eigvals", "pinv")
        found[name] = checked(
            _factorization(name, compute) if takes_matrices else on_device(name, compute, "linalg."), name, "linalg"
        )
    return found


globals().update(_table())
__all__ = [*_table(), "LinAlgError"]
