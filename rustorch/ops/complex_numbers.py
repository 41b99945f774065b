"""Complex numbers in rules: conjugates that cost nothing on real arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backends.dtypes import float32, float64
from ..backends.promotion import PYTHON_SCALARS

if TYPE_CHECKING:
    from ..typing import Array, Namespace

#: Dtypes that are known to be real, by identity: a library has one object for each, and dtypes of two libraries must
#: not be compared.
_REAL: dict[int, Any] = {}


def is_complex(x: Any) -> bool:
    """Whether an array, a Variable or a Python number is complex."""
    if type(x) in PYTHON_SCALARS:
        return type(x) is complex
    dtype = x.dtype
    if id(dtype) in _REAL:
        return False
    found = "complex" in str(dtype)
    if not found and len(_REAL) < 1000:  # bounded, in case a library makes a new dtype object for every array
        _REAL[id(dtype)] = dtype
    return found


def conjugate(xp: Namespace, x: Array) -> Array:
    """The conjugate of ``x``. A real array is returned as it is, after one comparison for the usual dtypes."""
    if type(x) in PYTHON_SCALARS:
        return x.conjugate() if type(x) is complex else x
    if (dtype := x.dtype) is float32 or dtype is float64 or not is_complex(x):
        return x
    return xp.conj(x)


def as_complex(xp: Namespace, x: Array) -> Array:
    """A real array in the complex dtype of its precision."""
    return xp.astype(x, xp.complex64 if x.dtype == xp.float32 else xp.complex128)
