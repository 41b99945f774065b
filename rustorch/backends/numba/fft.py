"""Fourier transforms of many rows, or of long ones, in compiled loops: sizes that are products of 2, 3 and 5.

A row of n1 * n2 numbers is a matrix. Its columns are transformed, then its elements are multiplied by powers of a root
of unity, and then its rows are transformed. The matrix is transposed before, so that these are columns, too: all loops
run along rows of memory, and the results are in order. Columns are transformed in Stockham's way, from one buffer to
another one. Where a row is too short for a matrix that is as wide as a vector of the processor, as many rows as the
vector has numbers are the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from .. import threads
from .kernel import Kernel, flat
from .windows import scratch

if TYPE_CHECKING:
    from ..base import Array
    from .butterflies import join_pairs, split_pairs, stage, transpose


#: Numbers between the real and the imaginary parts. Without a gap, 16 rows of 4,096 points take twice as long.
GAP = 48


# -- the loops ---------------------------------------------------------------------------------------------------------
def _rows(  # type: ignore[no-untyped-def]
    x, out, room, table, plan, turn, stages, height, width, n, rows, batch, blocks, inverse, factor, start, stop
):
    """Transform groups of ``blocks`` blocks, each of ``batch`` rows.

    The plan holds for each stage its radix, the number of transforms and the place of its factors. Before the stage
    ``turn``, the matrix is transposed. Each call uses its own part of the room, and uses it again for all its blocks.
    """
    size = n * batch
    apart = size + GAP  # numbers whose addresses differ by a power of two would fight for the same places of the cache
    real = apart if inverse else 0  # the inverse is the transform with the two parts swapped, before and after
    for block in range(start * blocks, min(stop * blocks, (rows + batch - 1) // batch)):
        first = block * batch * n
        length = min(size, rows * n - first)
        a, b = 4 * apart * start, (4 * start + 2) * apart
        columns = width
        split_pairs(x, 2 * first, room, a + real, a + apart - real, length)
        if batch > 1:
            transpose(0, room, a, b, batch, n, apart, table)
            a, b = b, a
        for i in range(stages):
            if i == turn:
                transpose(1, room, a, b, height, width, apart, table)
                a, b, columns = b, a, height
            radix, count, factors = plan[3 * i], plan[3 * i + 1], plan[3 * i + 2]
            if radix == 8 and count > 1:
                stage(8, room, a, b, count, columns, apart, table, factors)
            elif radix == 8:
                stage(-8, room, a, b, count, columns, apart, table, factors)
            elif radix == 16:
                stage(-16, room, a, b, count, columns, apart, table, factors)
            elif radix == 4:
                stage(4, room, a, b, count, columns, apart, table, factors)
            elif radix == 3:
                stage(3, room, a, b, count, columns, apart, table, factors)
            else:
                stage(5, room, a, b, count, columns, apart, table, factors)
            a, b, columns = b, a, columns * radix
        if batch > 1:
            transpose(0, room, a, b, n, batch, apart, table)
            a, b = b, a
        join_pairs(room, a + real, a + apart - real, out, 2 * first, length, factor)


ROWS = Kernel(_rows, "T[] T[] T[] T[] i8[]" + " int" * 9 + " T", name="fourier_transforms")


# -- plans -------------------------------------------------------------------------------------------------------------
class _Plan(NamedTuple):
    """How the loops transform rows of n numbers: the arguments of the kernel that do not depend on the rows."""

    table: Array
    plan: Array
    turn: int
    stages: int
    height: int
    width: int
    batch: int


def _radices(n: int) -> list[int]:
    """Factors of n, a product of 8 and of powers of 2, 3 and 5. The last one is 8 or 16."""
    found = []
    for radix in (5, 3):
        while n % radix == 0:
            found.append(radix)
            n //= radix
    power = n.bit_length() - 1
    last, fours = {0: (3, 0), 1: (4, 0), 2: (3, 1)}[power % 3]
    return [*found, *[4] * fours, *[8] * ((power - last) // 3), 1 << last]


def _powers(a: int, b: int, n: int) -> Array:
    """``exp(-2 pi i j k / n)`` for j below a and k below b, exact to float64 where numpy.longdouble has more digits."""
    angles = (-8 * numpy.arctan(numpy.longdouble(1)) / n) * (numpy.multiply.outer(numpy.arange(a), numpy.arange(b)) % n)
    return (numpy.cos(angles) + 1j * numpy.sin(angles)).astype(numpy.complex128)


def _matrix(n: int, lanes: int) -> tuple[int, int] | None:
    """The shape of the matrix for a row of n numbers: multiples of ``lanes``, as close to each other as possible."""
    if n % (lanes * lanes):
        return None
    rest = n // (lanes * lanes)
    height = max(i for i in range(1, int(rest**0.5) + 1) if rest % i == 0)
    return lanes * height, lanes * (rest // height)


def _is_served(n: int, dtype: Any) -> bool:
    if n % (64 // dtype.itemsize) or not _SHORTEST[dtype] <= n <= _LONGEST:
        return False
    for radix in (2, 3, 5):
        while n % radix == 0:
            n //= radix
    return n == 1


@cache
def _plan(n: int, dtype: Any) -> _Plan | None:
    """The plan for rows of n numbers with parts of a dtype. None for sizes that NumPy transforms."""
    if not _is_served(n, dtype):
        return None
    lanes = 64 // dtype.itemsize
    matrix = _matrix(n, lanes)
    tables: list[Array] = []
    if matrix is not None:
        powers = _powers(*matrix, n).reshape(-1)
        tables += [powers.real, numpy.zeros(GAP), powers.imag]
    stages: list[int] = []
    for length in matrix or (n,):
        radices, left = _radices(length), length
        turn = len(stages) // 3
        for radix in radices:
            count = left // radix
            stages += [radix, count, sum(map(len, tables))]
            tables.append(_powers(count, radix, left)[:, 1:].reshape(-1).view(numpy.float64))
            left = count
    table = numpy.concatenate(tables).astype(dtype)
    height, width = matrix or (n, lanes)
    return _Plan(
        table, numpy.asarray(stages, numpy.int64), turn if matrix else -1, len(stages) // 3, height, width,
        1 if matrix else lanes,
    )  # fmt: skip


# -- overrides ---------------------------------------------------------------------------------------------------------
#: The parts of complex numbers.
_PARTS = {numpy.dtype("complex64"): numpy.dtype("float32"), numpy.dtype("complex128"): numpy.dtype("float64")}
#: Elements from which these loops serve. They take 0.5 to 0.7 of NumPy's time for 256 numbers of complex64, too, but
#: nothing is compiled for fewer than `kernel.LEAST`.
_LEAST = 1 << 11
#: Points of the shortest row. For float32, all sizes take 0.4 to 0.7 of NumPy's time. For float64, 64 points or fewer
#: take about as long as NumPy (0.95 to 1.05), and 240 points or more take 0.5 to 0.9 of its time.
_SHORTEST = {numpy.dtype("float32"): 16, numpy.dtype("float64"): 128}
#: Points of the longest row that was measured: 0.6 of NumPy's time for float32, 0.55 to 1 for float64. The buffers of
#: longer rows do not fit into the second cache.
_LONGEST = 1 << 16
#: What the transform of a number costs, in additions: decides when threads share the rows.
_WORK = 8


def _factor(norm: str, n: int, inverse: bool) -> float:
    if norm == "ortho":
        return float(n**-0.5)
    return 1 / n if (norm == "backward") is inverse else 1.0


def _transform(x: Array, n: int | None, axis: int, norm: str, inverse: bool) -> Array:
    size = x.shape[axis]
    dtype = _PARTS.get(x.dtype)
    if dtype is None or x.size < _LEAST or (n is not None and n != size):
        return NotImplemented
    plan = _plan(size, dtype)
    if plan is None or x.size < plan.batch * size:
        return NotImplemented
    launch = ROWS.of(dtype, x.size)
    if launch is None:
        return NotImplemented
    last = axis in (-1, x.ndim - 1)
    if not last:
        x = numpy.moveaxis(x, axis, -1)
    out = numpy.empty(x.shape, x.dtype)
    rows = x.size // size
    blocks = -(-rows // plan.batch)
    each = -(-blocks // min(blocks, 4 * threads.get_num_threads()))
    groups = -(-blocks // each)
    room = scratch("fourier", 4 * (size * plan.batch + GAP) * groups, dtype)
    table, stages, turn, count, height, width, batch = plan
    launch(
        groups, _WORK * x.size, flat(x).view(dtype), out.view(dtype), room, table, stages, turn, count, height, width,
        size, rows, batch, each, int(inverse), _factor(norm, size, inverse),
    )  # fmt: skip
    return out if last else numpy.moveaxis(out, -1, axis)


def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _transform(x, n, axis, norm, False)


def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _transform(x, n, axis, norm, True)


OVERRIDES: dict[str, Callable[..., Any]] = {"fft.fft": fft, "fft.ifft": ifft}
