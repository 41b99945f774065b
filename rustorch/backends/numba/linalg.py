"""Inverses of small matrices of float32, compiled. On one thread of an Intel Xeon (Emerald Rapids), NumPy's take 1.3
times as long for 96 rows, and 2 to 3 times as long for 64 rows or less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from .kernel import Kernel, flat

if TYPE_CHECKING:
    from ..base import Array
    from .elimination import subtract_multiples
    from .reductions import scratch

    T: Any = float

#: The largest matrices: one of float64 takes 72 KiB of the stack.
MOST = 96


def find_pivot(a: Any, pitch: int, n: int, k: int) -> int:
    """The row from ``k`` on with the largest number in column ``k``."""
    best, largest = k, abs(a[k * pitch + k])
    for i in range(k + 1, n):
        size = abs(a[i * pitch + k])
        if size > largest:
            best, largest = i, size
    return best


def swap_rows(a: Any, pitch: int, i: int, k: int) -> None:
    """Swap two rows."""
    for j in range(pitch):
        number = a[i * pitch + j]
        a[i * pitch + j] = a[k * pitch + j]
        a[k * pitch + j] = number


def eliminate(a: Any, pitch: int, rows: int, n: int, least: float, factors: Any, pivots: Any, order: Any) -> int:
    """Replace a matrix by its inverse, whose rows are still multiplied by the pivots, and whose columns are in another
    order. Returns 0 if a pivot is not larger than ``least``, or no number. Source: Higham, "Accuracy and Stability of
    Numerical Algorithms", 2nd edition, algorithm 14.4 (Gauss-Jordan elimination), with the rows divided at the end.
    """
    for k in range(n):
        best = find_pivot(a, pitch, n, k)
        order[k] = best
        if best != k:
            swap_rows(a, pitch, best, k)
        pivot = a[k * pitch + k]
        if not abs(pivot) > least:
            return 0
        pivots[k] = pivot
        inverse = 1.0 / pivot
        for i in range(rows):
            factors[i] = a[i * pitch + k] * inverse
        factors[k] = 0.0
        for i in range(0, rows, 4):
            subtract_multiples(a, i * pitch, pitch, k * pitch, pitch, factors, i)
        for i in range(rows):
            a[i * pitch + k] = -factors[i]
        a[k * pitch + k] = 1.0
    return 1


def _inverses(x: Any, out: Any, regular: Any, n: int, start: int, stop: int) -> None:
    """An item is a matrix. It is inverted in float64, as by NumPy."""
    # rows and columns are filled up with zeros, to multiples of `elimination.ROWS` and `elimination.LENGTH`
    a, factors, pivots, order = scratch(0.0, 9216), scratch(0.0, 96), scratch(0.0, 96), scratch(0, 96)
    pitch, rows = (n + 7) // 8 * 8, (n + 3) // 4 * 4
    for item in range(start, stop):
        first, largest = item * n * n, 0.0
        for i in range(rows):
            for j in range(pitch):
                number = float(x[first + i * n + j]) if (i < n) & (j < n) else 0.0
                a[i * pitch + j] = number
                largest = max(largest, abs(number))
        # Rounding can make a pivot so large that should be 0. LAPACK then decides whether the matrix is singular.
        least = 2e-15 * n * largest
        done = eliminate(a, pitch, rows, n, least, factors, pivots, order)
        if done:
            for k in range(n - 1, -1, -1):
                if order[k] != k:
                    for i in range(n):
                        number = a[i * pitch + k]
                        a[i * pitch + k] = a[i * pitch + order[k]]
                        a[i * pitch + order[k]] = number
            for i in range(n):
                for j in range(n):
                    number = a[i * pitch + j] / pivots[i]
                    done &= abs(number) < 3e38
                    out[first + i * n + j] = T(number)
        regular[item] = done


INVERSES = Kernel(_inverses, "T[] T[] u1[] int", name="inverses")


def inv(x: Array, /) -> Array:
    """As the standard's, which NumPy computes in float64, too. NumPy serves if a matrix is singular or nearly so, or if
    a number is not finite: it says what is wrong.
    """
    n = x.shape[-1] if x.ndim > 1 else 0
    if x.dtype != numpy.float32 or not 0 < n <= MOST or x.shape[-2] != n:
        return NotImplemented
    launch = INVERSES.of(x.dtype, x.size)
    if launch is None:
        return NotImplemented
    out, regular = numpy.empty(x.shape, x.dtype), numpy.empty(x.shape[:-2], numpy.bool_)
    launch(regular.size, x.size * n // 4, flat(x), out, regular, n)
    return out if regular.all() else NotImplemented


OVERRIDES: dict[str, Callable[..., Any]] = {"linalg.inv": inv}
