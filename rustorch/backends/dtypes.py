"""The standard's data types, as ``numpy.dtype`` objects, and their kinds.

On every device a Variable's ``dtype`` is one of these; a backend translates at its border.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy

bool = numpy.dtype("bool")
int8 = numpy.dtype("int8")
int16 = numpy.dtype("int16")
int32 = numpy.dtype("int32")
int64 = numpy.dtype("int64")
uint8 = numpy.dtype("uint8")
uint16 = numpy.dtype("uint16")
uint32 = numpy.dtype("uint32")
uint64 = numpy.dtype("uint64")
float32 = numpy.dtype("float32")
float64 = numpy.dtype("float64")
complex64 = numpy.dtype("complex64")
complex128 = numpy.dtype("complex128")

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
REAL = (float32, float64)
COMPLEX = (complex64, complex128)
ALL = (bool, *SIGNED, *UNSIGNED, *REAL, *COMPLEX)
NAMES = {dtype.name: dtype for dtype in ALL}

#: What a list of Python scalars becomes when no dtype is named.
DEFAULTS = {"b": bool, "i": int64, "f": float32, "c": complex64}


def as_dtype(dtype: Any) -> numpy.dtype:
    """The ``numpy.dtype`` that a user means by ``dtype``: a dtype of any backend, a type, or a name.

    Raises
    ------
    TypeError
        If it names no data type.
    """
    if type(dtype) in _DTYPE_CLASSES:
        return dtype
    if dtype is builtins.float:
        return float32
    if dtype is builtins.complex:
        return complex64
    native = getattr(dtype, "_np_dtype", None)  # array-api-strict's DType
    if native is None and type(dtype).__module__ == "torch":
        native = str(dtype).removeprefix("torch.")
    try:
        return numpy.dtype(dtype if native is None else native)
    except TypeError as error:
        raise TypeError(f"{dtype!r} is not a data type; use one of rustorch.{', rustorch.'.join(NAMES)}") from error


_DTYPE_CLASSES = frozenset(type(dtype) for dtype in ALL)


def is_floating(dtype: numpy.dtype) -> builtins.bool:
    """Whether values of ``dtype`` have gradients: real or complex floating point."""
    return dtype.kind in "fcV"  # ml_dtypes' bfloat16 reports "V"


_WEAK = {builtins.bool: "b", builtins.int: "iufcV", builtins.float: "fcV", builtins.complex: "fcV"}


def promoted(one: numpy.dtype, two: numpy.dtype) -> numpy.dtype:
    """The standard's promotion of two dtypes.

    Raises
    ------
    TypeError
        If it leaves the mixture undefined: other kinds than integer with integer or float with complex, or uint64 with a
        signed integer.
    """
    if one == two:
        return one
    out = numpy.promote_types(one, two)
    kinds = {one.kind, two.kind}
    if len(kinds) == 1 or (kinds == {"i", "u"} and out.kind == "i") or kinds == {"f", "c"}:
        return out
    raise TypeError(f"{one} and {two} mix kinds, which the Array API standard leaves undefined; convert one of them with astype")


def promoted_with(dtype: numpy.dtype, number: type) -> numpy.dtype:
    """The promotion of an array's dtype with a Python number, which is weak. Raises as `promoted` does."""
    if dtype.kind not in _WEAK[number]:
        raise TypeError(
            f"a Python {number.__name__} and {dtype} mix kinds, which the Array API standard leaves undefined; convert with astype"
        )
    if number is builtins.complex and dtype.kind == "f":
        return complex64 if dtype == float32 else complex128
    return dtype
