"""The types that rustorch's signatures name.

Shapes are tuples of integers, devices are strings, and dtypes are ``numpy.dtype`` objects or whatever names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .backends import Array, Namespace
from .backends.dtypes import DType

if TYPE_CHECKING:
    from .variable import Variable

__all__ = ["Array", "ArrayLike", "Axes", "DType", "DTypeLike", "Namespace", "Number", "Shape", "Sizes"]

#: One of Python's numbers. The standard promotes them weakly: the array beside them decides the dtype.
Number: TypeAlias = bool | int | float | complex
#: What a function takes for an array: a Variable, a native array of a backend, or one of Python's numbers.
ArrayLike: TypeAlias = "Variable | Array | Number"
#: The sizes of an array's dimensions.
Shape: TypeAlias = tuple[int, ...]
#: One size for all spatial dimensions of a convolution or pooling, or a size for each.
Sizes: TypeAlias = int | Sequence[int]
#: The dimensions that a function works along: one, several, or None for all of them.
Axes: TypeAlias = int | Sequence[int] | None
#: A dtype of any backend, a type of Python's, a name such as "float32", or None for the default.
DTypeLike: TypeAlias = Any
