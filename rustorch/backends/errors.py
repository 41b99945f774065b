"""Which errors of array libraries keep their type when rustorch adds to their message."""

from __future__ import annotations

from numpy.linalg import LinAlgError

__all__ = ["ARITHMETIC", "KEPT", "LinAlgError"]

#: Errors that shapes and dtypes do not cause: a matrix has no result, or ``numpy.errstate(all="raise")`` asked for it.
ARITHMETIC = (LinAlgError, FloatingPointError, OverflowError)
#: The types to keep; the first one that fits is used. All other errors become RuntimeErrors.
KEPT = (*ARITHMETIC, TypeError, IndexError, ValueError)
