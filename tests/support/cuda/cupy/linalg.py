"""``cupy.linalg``, with LAPACK instead of cuSOLVER.

CuPy reads the status of cuSOLVER only if ``cupyx.errstate`` says so. It waits for the GPU then.
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

#: Functions that read the status of cuSOLVER if errors are to be raised.
_WITH_STATUS = {"cholesky", "eigh", "eigvalsh", "inv", "qr", "solve", "svd"}
#: Words in NumPy's errors that are about values, not about shapes.
_ABOUT_VALUES = ("singular", "definite", "converge", "infs or nans")


def _factorization(name: str, compute: Callable) -> Callable:
    on_gpu = on_device(name, compute, "linalg.")

    def call(a: Any, *args: Any, **options: Any) -> Any:
        arrays = [a, *args[:1]] if name == "solve" else [a]
        for array in arrays:
            if not isinstance(array, ndarray):
                raise LinAlgError("cupy.linalg only supports cupy.ndarray")
            if array.dtype == "float16":
                raise TypeError("float16 is unsupported in linalg")
        is_stack_of_systems = name == "solve" and a.ndim > 2  # for these, CuPy does not read the status
        reads_status = name in _WITH_STATUS and cupyx.geterr()["linalg"] == "raise" and not is_stack_of_systems
        if name == "solve":
            _check_solve(*arrays)
        if reads_status:
            record("sync", f"linalg.{name}")
        try:
            return on_gpu(a, *args, **options)
        except LinAlgError as error:
            if reads_status or not any(word in str(error).lower() for word in _ABOUT_VALUES):
                raise
        launch(f"linalg.{name}", a.size)
        return _nan_like(compute(*[_harmless(array) for array in arrays], *args[len(arrays) - 1 :], **options))

    return call


def _check_solve(a: ndarray, b: ndarray) -> None:
    if b.ndim == 0:
        raise ValueError("b must have at least one dimension")
    if b.ndim > 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if b.ndim == 1 and a.shape[-1] != b.size:
        raise ValueError("a must have (..., M, M) shape and b must have (M,) for one-dimensional b")


def _harmless(array: ndarray) -> numpy.ndarray:
    """An array of the same shape with values that every function takes: identity matrices, or ones."""
    values = numpy.zeros(array.shape, array.dtype)
    diagonal = numpy.einsum("...ii->...i", values) if array.ndim > 1 and array.shape[-1] == array.shape[-2] else values
    diagonal[...] = 1
    return values


def _nan_like(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple([_nan_like(part) for part in result])
    return wrapped(numpy.full(result.shape, numpy.nan, result.dtype))


def _table() -> dict[str, Callable]:
    functions: dict[str, Callable] = {}
    for name in signatures("linalg"):
        compute = getattr(numpy.linalg, name)
        takes_matrices = name in _WITH_STATUS or name in ("det", "slogdet", "eig", "eigvals", "pinv")
        functions[name] = checked(
            _factorization(name, compute) if takes_matrices else on_device(name, compute, "linalg."), name, "linalg"
        )
    return functions


globals().update(_table())
__all__ = [*_table(), "LinAlgError"]
