"""Running sums and products along an axis, also from the end to the start, as gradients need them.

An addition waits for the one before it. So eight rows are summed side by side, or eight segments of a long row, whose
first sums are known from a pass before. Along other axes than the last one, neighbouring columns are one vector.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy

from .availability import always
from .kernel import Kernel, flat
from .statistical_loops import PARTIAL_SUMS

if TYPE_CHECKING:
    from ..base import Array

#: Elements from which a compiled loop is faster than NumPy's.
LEAST = 0 if always() else 1 << 12
#: Elements of a segment of a long row. It is fixed, so that sums do not depend on the number of threads.
SEGMENT = 1 << 12
#: Rows or segments that are summed side by side.
LANES = 8
#: Columns that are summed together: their sums stand on the stack.
WIDTH = 256
#: Rows from which segments are not needed to keep all threads and lanes busy.
_ENOUGH = 64
#: Columns below which NumPy serves: a vector would hardly be filled.
_FEW = 16

# The loops, as text. ``{op}`` is the operation. A line with ``#`` stands for eight, one for each lane.
_ROWS = """
def running_rows(x, out, first, n, segment, count, lanes, reverse, start, stop):
    for item in range(start, stop):
        low = item * LANES
        high = min(low + LANES, lanes)
        common = segment
        if high - low < LANES:
            common = 0
        else:
            common = min(common, n - (low + #) % count * segment)
            a# = (low + #) // count * n + (low + #) % count * segment
            b# = a# + min(segment, n - (low + #) % count * segment)
            t# = first[low + #]
            if reverse:
                x#, y# = x[b# - common : b#], out[b# - common : b#]
                for j in range(common - 1, -1, -1):
                    t# = t# {op} x#[j]
                    y#[j] = t#
            else:
                x#, y# = x[a# : a# + common], out[a# : a# + common]
                for j in range(common):
                    t# = t# {op} x#[j]
                    y#[j] = t#
            first[low + #] = t#
        for lane in range(low, high):
            a = lane // count * n + lane % count * segment
            b = a + min(segment, n - lane % count * segment)
            t = first[lane]
            if reverse:
                for j in range(b - common - 1, a - 1, -1):
                    t = t {op} x[j]
                    out[j] = t
            else:
                for j in range(a + common, b):
                    t = t {op} x[j]
                    out[j] = t
"""
_COLUMNS = """
def running_columns(x, out, n, inner, blocks, reverse, start, stop):
    total = scratch({zero}, WIDTH)
    for item in range(start, stop):
        o, low = item // blocks, item % blocks * WIDTH
        high = min(low + WIDTH, inner)
        totals = total[: high - low]
        for i in range(totals.size):
            totals[i] = {first}
        for j in range(n):
            k = (o * n + (n - 1 - j if reverse else j)) * inner
            values, y = x[k + low : k + high], out[k + low : k + high]
            for i in range(y.size):
                t = totals[i] {op} values[i]
                totals[i] = t
                y[i] = t
"""


def _kernel(text: str, tokens: str, **parts: str) -> Kernel:
    lines = []
    for line in text.format(**parts).split("\n"):
        lines += [line.replace("#", str(k)) for k in range(LANES)] if "#" in line else [line]
    names: dict[str, Any] = {"LANES": LANES, "WIDTH": WIDTH}
    exec("\n".join(lines), names)  # written above; no part of it comes from outside
    (body,) = [value for name, value in names.items() if name.startswith("running")]
    return Kernel(body, tokens, name=f"{body.__name__} {parts['op']}")


#: Sums are kept in float64. Products are kept in the array's dtype, so that they overflow as NumPy's do.
_SUM_ROWS = _kernel(_ROWS, "T[] T[] f8[] int int int int int", op="+")
_SUM_COLUMNS = _kernel(_COLUMNS, "T[] T[] int int int int", op="+", zero="0.0", first="0.0")
_PRODUCT_ROWS = _kernel(_ROWS, "T[] T[] T[] int int int int int", op="*")
_PRODUCT_COLUMNS = _kernel(_COLUMNS, "T[] T[] int int int int", op="*", zero="T(0)", first="T(1)")


def _running(x: Array, axis: int | None, dtype: Any, include_initial: bool, is_sum: bool) -> Array:
    if x.size < LEAST or not x.size or include_initial or (dtype is not None and dtype != x.dtype):
        return NotImplemented
    axis = 0 if axis is None else axis % x.ndim
    n, inner = x.shape[axis], prod(x.shape[axis + 1 :])
    if n == 1 or 1 < inner < _FEW:
        return NotImplemented
    reverse = x.strides[axis] < 0  # of a view from the end to the start, the result is one, too
    if reverse:
        view: tuple[Any, ...] = (*[slice(None)] * axis, slice(None, None, -1))
        x = x[view]
    out = numpy.empty(x.shape, x.dtype)
    done = (_rows if inner == 1 else _columns)(x, out, n, inner, reverse, is_sum)
    if not done:
        return NotImplemented
    return out[view] if reverse else out


def _rows(x: Array, out: Array, n: int, inner: int, reverse: bool, is_sum: bool) -> bool:
    rows, segment = x.size // n, n
    launch = (_SUM_ROWS if is_sum else _PRODUCT_ROWS).of(x.dtype, 2 * x.size)
    if launch is None:
        return False
    x = flat(x)
    first = numpy.zeros(rows) if is_sum else numpy.ones(rows, x.dtype)
    if rows < _ENOUGH and n >= 4 * SEGMENT:
        before = PARTIAL_SUMS.of(x.dtype, x.size) if is_sum else None
        if before is None:
            return False
        segment, count = SEGMENT, -(-n // SEGMENT)
        parts = numpy.empty((rows, count))
        before(rows * count, x.size, x, parts, n, segment, count)
        first = numpy.zeros((rows, count))
        with numpy.errstate(all="ignore"):
            if reverse:
                numpy.add.accumulate(parts[:, :0:-1], 1, out=first[:, -2::-1])
            else:
                numpy.add.accumulate(parts[:, :-1], 1, out=first[:, 1:])
    lanes = first.size
    launch(-(-lanes // LANES), 2 * x.size, x, out, first, n, segment, lanes // rows, lanes, reverse)
    return True


def _columns(x: Array, out: Array, n: int, inner: int, reverse: bool, is_sum: bool) -> bool:
    launch = (_SUM_COLUMNS if is_sum else _PRODUCT_COLUMNS).of(x.dtype, 2 * x.size)
    if launch is None:
        return False
    blocks = -(-inner // WIDTH)
    launch(x.size // (n * inner) * blocks, 2 * x.size, flat(x), out, n, inner, blocks, reverse)
    return True


def cumulative_sum(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    return _running(x, axis, dtype, include_initial, True)


def cumulative_prod(x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    return _running(x, axis, dtype, include_initial, False)
