"""Complex numbers in rules: conjugates that cost nothing on real arrays."""

from __future__ import annotations

from typing import Any

from ..backends.dtypes import float32, float64

_NUMBERS = frozenset((float, int, bool, complex))
#: Real dtypes by identity (a library has one object for each; two libraries' may hash alike and must not be compared).
_real: dict[int, Any] = {}


def is_complex(x: Any) -> bool:
    """Whether an array, a Variable or a Python number is complex."""
    if type(x) in _NUMBERS:
        return type(x) is complex
    dtype = x.dtype
    if id(dtype) in _real:
        return False
    found = "complex" in str(dtype)
    if not found and len(_real) < 1000:  # as many as there could be, should a library make new ones all the time
        _real[id(dtype)] = dtype
    return found


def conjugate(xp: Any, x: Any) -> Any:
    """The conjugate; a real array itself, at the price of one comparison for the usual dtypes."""
    if type(x) in _NUMBERS:
        return x.conjugate() if type(x) is complex else x
    if (dtype := x.dtype) is float32 or dtype is float64 or not is_complex(x):
        return x
    return xp.conj(x)


def as_complex(xp: Any, x: Any) -> Any:
    """A real array in the complex dtype of its precision."""
    return xp.astype(x, xp.complex64 if x.dtype == xp.float32 else xp.complex128)
