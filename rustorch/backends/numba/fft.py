"""Fourier transforms of many rows, or of long ones, in compiled loops: sizes that are products of 2, 3 and 5.

A row of n1 * n2 numbers is a matrix. Its columns are transformed, then its elements are multiplied by powers of a root
of unity, and then its rows are transformed. The matrix is transposed before, so that these are columns, too: all loops
run along rows of memory, and the results are in order. Columns are transformed in Stockham's way, from one buffer to
another one. Where a row is too short for a matrix that is as wide as a vector of the processor, as many rows as the
vector has numbers are the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from .. import threads
from .kernel import Kernel, flat
from .windows import scratch

if TYPE_CHECKING:
    from ..base import Array
    from .butterflies import join_pairs, split_pairs, stage, transpose


# -- the loops ---------------------------------------------------------------------------------------------------------
def _stages(room: Any, a: int, b: int, size: int, table: Any, plan: Any, first: int, stop: int, width: int) -> None:
    """All stages of the transforms of columns. The last one writes to a if their number is even, else to b."""
    for i in range(first, stop):
        radix, count, factors = plan[3 * i], plan[3 * i + 1], plan[3 * i + 2]
        if count == 1:
            if radix == 8:
                stage(-8, room, a, b, count, width, size, table, factors)
            else:
                stage(-16, room, a, b, count, width, size, table, factors)
        elif radix == 8:
            stage(8, room, a, b, count, width, size, table, factors)
        elif radix == 4:
            stage(4, room, a, b, count, width, size, table, factors)
        elif radix == 3:
            stage(3, room, a, b, count, width, size, table, factors)
        else:
            stage(5, room, a, b, count, width, size, table, factors)
        a, b, width = b, a, width * radix


def _rows(  # type: ignore[no-untyped-def]
    x, out, room, table, plan, stages1, stages2, height, width, n, rows, batch, blocks, inverse, factor, start, stop
):
    """Transform groups of ``blocks`` blocks, each of ``batch`` rows."""
    size = n * batch
    real = size if inverse else 0  # the inverse is the transform with the two parts swapped, before and after
    for item in range(start, stop):
        for block in range(item * blocks, min((item + 1) * blocks, (rows + batch - 1) // batch)):
            first = block * batch * n
            length = min(size, rows * n - first)
            a, b = 4 * size * item, 4 * size * item + 2 * size
            split_pairs(x, 2 * first, room, a + real, a + size - real, length)
            if batch > 1:
                transpose(0, room, a, b, batch, n, size, table)
                a, b = b, a
            _stages(room, a, b, size, table, plan, 0, stages1, width)
            if stages1 % 2:
                a, b = b, a
            if batch > 1:
                transpose(0, room, a, b, n, batch, size, table)
            else:
                transpose(1, room, a, b, height, width, size, table)
            _stages(room, b, a, size, table, plan, stages1, stages1 + stages2, height)
            if stages2 % 2:
                a, b = b, a
            join_pairs(room, b + real, b + size - real, out, 2 * first, length, factor)


ROWS = Kernel(_rows, "T[] T[] T[] T[] i8[]" + " int" * 9 + " T", name="fourier_transforms")


# -- plans -------------------------------------------------------------------------------------------------------------
class _Plan(NamedTuple):
    """How the loops transform rows of n numbers: the arguments of the kernel that do not depend on the rows."""

    table: Array
    plan: Array
    stages1: int
    stages2: int
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
    first, last = {0: ([], 8), 1: ([], 16), 2: ([4], 8)}[power % 3]
    eights = (power - {0: 3, 1: 4, 2: 5}[power % 3]) // 3
    return [*found, *first, *[8] * eights, last]


def _powers(products: Array, n: int) -> Array:
    """``exp(-2 pi i products / n)`` for integers, correctly rounded where numpy.longdouble has more digits."""
    angles = (-8 * numpy.arctan(numpy.longdouble(1)) / n) * (products % n)
    return (numpy.cos(angles) + 1j * numpy.sin(angles)).astype(numpy.complex128)


def _split(n: int, lanes: int) -> tuple[int, int] | None:
    """The sizes of the matrix for a row of n numbers: multiples of ``lanes``, as close to each other as possible."""
    if n % (lanes * lanes):
        return None
    rest = n // (lanes * lanes)
    height = max(i for i in range(1, int(rest**0.5) + 1) if rest % i == 0)
    return lanes * height, lanes * (rest // height)


def _is_served(n: int, lanes: int) -> bool:
    if n % lanes or n > _LONGEST:
        return False
    for radix in (2, 3, 5):
        while n % radix == 0:
            n //= radix
    return n == 1


@lru_cache(32)
def _plan(n: int, dtype: Any) -> _Plan | None:
    """The plan for rows of n numbers with parts of a dtype. None for sizes that NumPy transforms."""
    lanes = 64 // dtype.itemsize
    if not _is_served(n, lanes):
        return None
    sizes = _split(n, lanes)
    tables, stages, place = [], [], 0
    if sizes is not None:
        factors = _powers(numpy.multiply.outer(numpy.arange(sizes[0]), numpy.arange(sizes[1])).reshape(-1), n)
        # numbers after the first stages are in the order of the result: row k of the matrix is element k of a column
        tables += [factors.real, factors.imag]
        place = 2 * n
    lists = [_radices(size) for size in (sizes or (n,))]
    for radices, length in zip(lists, sizes or (n,), strict=True):
        for radix in radices:
            count = length // radix
            factors = _powers(numpy.multiply.outer(numpy.arange(count), numpy.arange(1, radix)).reshape(-1), length)
            stages += [radix, count, place]
            tables.append(factors.view(numpy.float64))
            place += 2 * factors.size
            length = count
    height, width = sizes or (n, lanes)
    table = numpy.concatenate(tables).astype(dtype)
    return _Plan(
        table, numpy.asarray(stages, numpy.int64), len(lists[0]), len(lists[1]) if sizes else 0, height, width,
        1 if sizes else lanes,
    )  # fmt: skip


# -- overrides ---------------------------------------------------------------------------------------------------------
_LEAST = 1 << 11
_LONGEST = 1 << 16
_PARTS = {numpy.dtype("complex64"): numpy.dtype("float32"), numpy.dtype("complex128"): numpy.dtype("float64")}
#: A pass over one complex number of a row, in additions: what a transform takes for each stage of 8.
_WORK = 8


def _factor(norm: str, n: int, inverse: bool) -> float:
    if norm == "ortho":
        return float(n**-0.5)
    return 1 / n if (norm == "backward") is inverse else 1.0


def _transform(x: Array, n: int | None, axis: int, norm: str, inverse: bool) -> Array:
    if x.size < _LEAST or x.dtype not in _PARTS:
        return NotImplemented
    dtype = _PARTS[x.dtype]
    size = x.shape[axis]
    if n is not None and n != size:
        return NotImplemented
    plan = _plan(size, dtype)
    if plan is None or x.size < plan.batch * size:
        return NotImplemented
    launch = ROWS.of(dtype, x.size)
    if launch is None:
        return NotImplemented
    x = numpy.moveaxis(x, axis, -1)
    out = numpy.empty(x.shape, x.dtype)
    rows = x.size // size
    blocks = -(-rows // plan.batch)
    groups = min(blocks, 4 * threads.get_num_threads())
    each = -(-blocks // groups)
    groups = -(-blocks // each)
    room = scratch("fourier", 4 * size * plan.batch * groups, dtype)
    launch(
        groups, _WORK * x.size, flat(x).view(dtype), out.view(dtype), room, plan.table, plan.plan, plan.stages1,
        plan.stages2, plan.height, plan.width, size, rows, plan.batch, each, int(inverse),
        _factor(norm, size, inverse),
    )  # fmt: skip
    return numpy.moveaxis(out, -1, axis)


def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _transform(x, n, axis, norm, False)


def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """As the standard's."""
    return _transform(x, n, axis, norm, True)


OVERRIDES: dict[str, Callable[..., Any]] = {"fft.fft": fft, "fft.ifft": ifft}
