"""Which of the errors that array libraries raise keep their kind when rustorch adds what it knows about them."""

from __future__ import annotations

from numpy.linalg import LinAlgError

__all__ = ["ARITHMETIC", "KEPT", "LinAlgError"]

#: Not about shapes or dtypes: matrices without a result, and what ``numpy.errstate(all="raise")`` asks for.
ARITHMETIC = (LinAlgError, FloatingPointError, OverflowError)
#: All others become RuntimeErrors. An error is of the first kind that fits.
KEPT = (*ARITHMETIC, TypeError, IndexError, ValueError)
