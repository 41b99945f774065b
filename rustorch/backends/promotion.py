"""Promotion of dtypes: what arrays, Python's numbers and NumPy's scalars become together.

The Array API standard promotes within a kind (integers, real and complex floating point) and leaves mixtures of kinds
undefined; rustorch refuses those. A Python number is weak: the array beside it decides the dtype. In a list, where no
array decides, a number may raise the kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy

from .dtypes import DEFAULTS, complex64, complex128, float64

#: Python's types of numbers, from the lowest kind to the highest -> the code of the kind of dtype that each means.
PYTHON_SCALARS: dict[type, str] = {bool: "b", int: "i", float: "f", complex: "c"}

#: Code of a dtype's kind -> its place in the order of kinds. "V" is bfloat16's, a real floating-point dtype.
_RANKS = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}
#: Kind of a Python number -> kinds of the arrays that it may meet.
_MEETS = {"b": "b", "i": "iufcV", "f": "fcV", "c": "fcV"}
_WORDS = ("boolean", "integer", "real floating-point", "complex")


def promoted(one: numpy.dtype, two: numpy.dtype) -> numpy.dtype:
    """The dtype of two arrays together.

    Raises
    ------
    TypeError
        If the standard leaves the mixture undefined: kinds other than integer with integer or floating point with
        floating point, or uint64 with a signed integer.
    """
    found = _PROMOTED.get((one, two))
    if found is None:
        found = _PROMOTED[one, two] = _promoted(one, two)
    return found


_PROMOTED: dict[tuple[numpy.dtype, numpy.dtype], numpy.dtype] = {}


def _promoted(one: numpy.dtype, two: numpy.dtype) -> numpy.dtype:
    if one == two:
        return one
    ranks = {_RANKS[one.kind], _RANKS[two.kind]}
    if ranks == {1} or ranks <= {2, 3}:
        out = numpy.promote_types(one, two)
        if _RANKS[out.kind] in ranks:  # NumPy makes float64 of uint64 and a signed integer
            return out
    higher = max(one, two, key=lambda dtype: "buifVc".find(dtype.kind))
    raise TypeError(
        f"{one} and {two} mix kinds, which the Array API standard leaves undefined; convert one of them, as in "
        f"x.astype(rustorch.{higher})"
    )


def promoted_with(dtype: numpy.dtype, number: type) -> numpy.dtype:
    """The dtype of an array together with a Python number of this type.

    Raises
    ------
    TypeError
        If the number is of a higher kind than the array, or only one of them is boolean.
    """
    kind = PYTHON_SCALARS[number]
    if dtype.kind not in _MEETS[kind]:
        raise TypeError(
            f"a Python {number.__name__} and an array of {_WORDS[_RANKS[dtype.kind]]} dtype mix kinds, which the Array "
            f"API standard leaves undefined; convert the array first, as in x.astype(rustorch.{DEFAULTS[kind]})"
        )
    if kind == "c" and dtype.kind != "c":
        return complex128 if dtype == float64 else complex64
    return dtype


def is_number(kind: type) -> bool:
    """Whether values of a type are Python's numbers. NumPy's scalars are not, though float64 is a subclass of float."""
    return kind in PYTHON_SCALARS or (issubclass(kind, tuple(PYTHON_SCALARS)) and not issubclass(kind, numpy.generic))


def is_numpy_scalar(value: Any) -> bool:
    """Whether a value is one of NumPy's scalars, which are not arrays and belong to no device."""
    return isinstance(value, numpy.generic)


# -- lists -------------------------------------------------------------------------------------------------------------
def dtype_of_numbers(numbers: Iterable[type]) -> numpy.dtype:
    """The default dtype of a list of Python numbers of these types; of an empty list, that of floats."""
    ranks = [_rank(kind) for kind in numbers]
    return DEFAULTS["bifc"[max(ranks, default=2)]]


def raised_by_numbers(dtype: numpy.dtype, numbers: Iterable[type]) -> numpy.dtype:
    """The dtype of a list of arrays of one dtype and of Python numbers of these types: only the kind can rise."""
    rank = max([_rank(kind) for kind in numbers], default=0)
    if rank <= _RANKS[dtype.kind]:
        return dtype
    if rank == 3 and dtype.kind == "f":
        return complex64 if dtype.itemsize <= 4 else complex128
    return DEFAULTS["bifc"[rank]]


def promoted_with_scalar(dtype: numpy.dtype, scalar: numpy.dtype) -> numpy.dtype:
    """The dtype of a list of arrays of one dtype and a NumPy scalar of another one.

    A scalar of a lower kind is weak, as an integer beside floats; any other one counts as an array would.
    """
    low, high = _RANKS[scalar.kind], _RANKS[dtype.kind]
    if low < high:
        return dtype
    return scalar if low > high and dtype.kind != "f" else numpy.promote_types(dtype, scalar)


def _rank(kind: type) -> int:
    return next(rank for rank, plain in enumerate(PYTHON_SCALARS) if issubclass(kind, plain))
