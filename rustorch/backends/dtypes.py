"""The standard's data types, as ``numpy.dtype`` objects, and the dtypes that rustorch refuses.

The ``dtype`` of a Variable is one of these on every device; a backend translates at its border. `admit` refuses float16
and every other dtype that the standard lacks. The exception is bfloat16, which has float32's range: JAX and PyTorch add
up bfloat16 numbers in float32, and so their arrays may have it.
"""

from __future__ import annotations

import builtins
from typing import Any, TypeAlias

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

#: A dtype on any device: one of the standard's, as a dtype of NumPy.
DType: TypeAlias = numpy.dtype[Any]

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
REAL = (float32, float64)
COMPLEX = (complex64, complex128)
ALL = (bool, *SIGNED, *UNSIGNED, *REAL, *COMPLEX)
NAMES = {dtype.name: dtype for dtype in ALL}

_ADMITTED = frozenset(ALL)

#: What a list of Python scalars becomes when no dtype is named.
DEFAULTS = {"b": bool, "i": int64, "f": float32, "c": complex64}


def as_dtype(dtype: Any) -> numpy.dtype:
    """The ``numpy.dtype`` for a dtype of any backend, a Python type, or a name.

    Raises
    ------
    TypeError
        If it names no data type, or one that rustorch refuses, such as float16.
    """
    if type(dtype) in _DTYPE_CLASSES and dtype.isnative:
        known: numpy.dtype = dtype
        return known
    if dtype is None:  # NumPy takes None for float64
        raise TypeError(f"None is not a data type; use one of rustorch.{', rustorch.'.join(NAMES)}")
    if dtype is builtins.float:
        return float32
    if dtype is builtins.complex:
        return complex64
    native = getattr(dtype, "_np_dtype", None)  # array-api-strict's DType
    if native is None and type(dtype).__module__ == "torch":
        native = str(dtype).removeprefix("torch.")
    try:
        named: numpy.dtype = numpy.dtype(dtype if native is None else native).newbyteorder("=")
    except TypeError as error:
        if "bfloat16" in (dtype, native):
            return _bfloat16()
        if reason := _WHY_NOT.get(str(native)):  # a dtype of PyTorch that NumPy lacks
            raise TypeError(f"{dtype} is refused: {reason}") from error
        raise TypeError(f"{dtype!r} is not a data type; use one of rustorch.{', rustorch.'.join(NAMES)}") from error
    if named not in _ADMITTED and named.name != "bfloat16":
        raise TypeError(f"dtype {named} is refused: {_reason(named)}")
    return named


def _bfloat16() -> numpy.dtype:
    """The dtype bfloat16, which NumPy alone does not have."""
    try:
        from ml_dtypes import bfloat16
    except ImportError as error:
        raise TypeError(
            "bfloat16 is refused: NumPy has no such dtype without the package ml_dtypes; pip install ml_dtypes, or "
            "convert the array to float32 in its own library"
        ) from error
    return numpy.dtype(bfloat16)  # type: ignore[no-any-return] # ml_dtypes has no types


#: Name of a refused dtype -> the reason, and what to write instead.
_WHY_NOT = {
    "float16": (
        "its largest number is 65504, and NumPy and CuPy add up in it, so that sums and counts overflow. Convert it to "
        "float32, as in x.astype('float32') of NumPy and CuPy or x.float() of PyTorch, or name dtype=rustorch.float32"
    ),
    "bfloat16": (
        "NumPy and CuPy add up in it, so that sums lose their digits. Convert it, as in x.astype('float32'); arrays of "
        "JAX and PyTorch may have it"
    ),
    "object": "its elements are Python objects. Convert them to numbers, as in x.astype('float64')",
    "complex32": "its parts have float16's range. Convert it, as in x.to(torch.complex64)",
}
#: Kind of a refused dtype -> the same.
_WHY_NOT_KIND = {
    "f": "the standard has no floats of more than 64 bits. Convert it, as in x.astype('float64')",
    "c": "the standard has no complex numbers of more than 128 bits. Convert it, as in x.astype('complex128')",
    "U": (
        "text is no number. Number its values, as in numpy.unique(x, return_inverse=True)[1], or convert digits with "
        "x.astype('float64')"
    ),
    "M": "dates are no numbers. Count from a first one, as in (x - x[0]) / numpy.timedelta64(1, 'D')",
    "m": "durations are no numbers. Divide by a unit, as in x / numpy.timedelta64(1, 's')",
}


def _reason(dtype: Any) -> str:
    name, kind = str(getattr(dtype, "name", dtype)), getattr(dtype, "kind", "")
    if name in _WHY_NOT:
        return _WHY_NOT[name]
    if getattr(dtype, "names", None):
        return f"its elements have fields. Take one of them, as in x[{dtype.names[0]!r}]"
    other = "the standard has no such dtype. Convert it, as in x.astype('float32')"
    return _WHY_NOT_KIND.get("U" if kind in ("S", "T") else kind, other)


def admit(dtype: Any) -> None:
    """Refuse a dtype that the standard lacks: the user converts the array with its own library first.

    Raises
    ------
    TypeError
        Names the dtype, says why it is refused, and what to write instead.
    """
    if dtype not in _ADMITTED:
        raise refused(dtype)


def refused(dtype: Any) -> TypeError:
    """The error for an array of a dtype that its backend does not compute with."""
    return TypeError(f"arrays of dtype {dtype} hold no numbers that rustorch computes with: {_reason(dtype)}")


def no_bfloat16(device: str) -> TypeError:
    """The error for a bfloat16 array that would move to a device without bfloat16."""
    return TypeError(
        f"arrays on {device!r} have no bfloat16: {_WHY_NOT['bfloat16'].partition('.')[0]}. Convert first, as in "
        f"x.astype(rustorch.float32)"
    )


def is_name(text: str) -> builtins.bool:
    """Whether a string is the name of a dtype, supported or not, and so not the name of a device."""
    return text in NAMES or text in _WHY_NOT or text in ("half", "longdouble", "float128", "complex256")


def trainable(dtype: numpy.dtype) -> None:
    """Refuse bfloat16 for parameters: the small steps of an optimizer vanish in its three digits."""
    if dtype.kind == "V":
        raise TypeError(
            f"layers and optimizers have no {dtype}: steps of less than 1/256 of a parameter would vanish in its three "
            f"digits. Keep parameters in float32, as in x.astype(rustorch.float32)"
        )


def limits_of(dtype: numpy.dtype) -> tuple[Any, ...]:
    """The numerical limits of a dtype; those of a complex dtype are the limits of its parts.

    Returns
    -------
    (bits, eps, max, min, smallest_normal, dtype) for floating point, (bits, max, min, dtype) for integers
    """
    if dtype.kind in "iu":
        limits = numpy.iinfo(dtype)
        return limits.bits, int(limits.max), int(limits.min), dtype
    if dtype.kind == "V":
        import ml_dtypes

        finfo: Any = ml_dtypes.finfo
        low = finfo(dtype)
        return low.bits, float(low.eps), float(low.max), float(low.min), float(low.smallest_normal), dtype
    part = numpy.finfo(dtype)
    return part.bits, float(part.eps), float(part.max), float(part.min), float(part.smallest_normal), part.dtype


_DTYPE_CLASSES = frozenset(type(dtype) for dtype in ALL)


def is_floating(dtype: numpy.dtype) -> builtins.bool:
    """Whether values of ``dtype`` have gradients: real or complex floating point."""
    return dtype.kind in "fcV"  # ml_dtypes' bfloat16 reports "V"
