"""A stand-in for CuPy 14.2: NumPy with the functions, signatures, errors and device rules of CuPy.

README.md in the folder above says what it proves and what it cannot prove.
"""

from __future__ import annotations

import numpy
from numpy import e, euler_gamma, inf, nan, newaxis, pi

from . import _creation, _functions, _operators, _ufuncs, cuda
from ._array import ndarray
from ._log import LOG as LOG
from ._sources import SOURCES as SOURCES
from ._sources import ElementwiseKernel, RawKernel, RawModule
from ._sources import backwards as backwards
from ._ufuncs import ufunc

__version__ = "14.2.0"

_DTYPES = (
    "bool_", "complex128", "complex64", "complexfloating", "dtype", "float16", "float32", "float64", "floating",
    "generic", "inexact", "int16", "int32", "int64", "int8", "int_", "integer", "intp", "number", "signedinteger",
    "uint16", "uint32", "uint64", "uint8", "unsignedinteger",
)  # fmt: skip

globals().update({name: getattr(numpy, name) for name in _DTYPES})
globals().update(_ufuncs.table() | _functions.table() | _creation.table())
bool = numpy.bool_
_operators.add_to_ndarray()

from . import fft, linalg, random  # noqa: E402 - they use the functions above

__all__ = [
    *_DTYPES,
    *_ufuncs.table(),
    *_functions.table(),
    *_creation.table(),
    "ElementwiseKernel",
    "RawKernel",
    "RawModule",
    "bool",
    "cuda",
    "e",
    "euler_gamma",
    "fft",
    "inf",
    "linalg",
    "nan",
    "ndarray",
    "newaxis",
    "pi",
    "random",
    "ufunc",
]
