"""The loops of reductions, for Numba: sums, extremes, deviations from the mean, and the gradient of an extreme.

A row is cut into segments of a fixed size, so that several threads share a long one and the result does not depend on
their number. Within a segment, blocks are added up in the array's dtype, and their sums in float64.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .kernel import Kernel

if TYPE_CHECKING:
    from .reductions import larger, plus, scratch

    T: Any = float

#: Elements that are added up in the array's dtype.
BLOCK = 2048
#: Columns that are reduced together: their sums stand on the stack.
WIDTH = 512
#: Rows that are added up in the array's dtype, column by column.
_ROWS = 128
INF = float("inf")


# -- rows --------------------------------------------------------------------------------------------------------------
def sum_of(x):
    total = 0.0
    for begin in range(0, x.size, BLOCK):
        values = x[begin : begin + BLOCK]
        part = T(0)
        for i in range(values.size):
            part = plus(part, values[i])
        total += part
    return total


def squares_of(x, mean):
    """The sum of the squared deviations from the mean."""
    total = 0.0
    for begin in range(0, x.size, BLOCK):
        values = x[begin : begin + BLOCK]
        part = T(0)
        for i in range(values.size):
            part = plus(part, (values[i] - mean) * (values[i] - mean))
        total += part
    return total


def ties_of(x, top):
    """How many elements are equal to ``top``. All nan are equal."""
    total = 0.0
    for begin in range(0, x.size, BLOCK):
        values = x[begin : begin + BLOCK]
        part = T(0)
        for i in range(values.size):
            part = plus(part, T(1) if (values[i] == top) | ((values[i] != values[i]) & (top != top)) else T(0))
        total += part
    return total


def _sums(x, out, n, segment, count, start, stop):
    for item in range(start, stop):
        r = item // count
        first = (item - r * count) * segment
        out[item] = sum_of(x[r * n + first : r * n + min(first + segment, n)])


def _extremes(x, out, n, segment, count, factor, start, stop):
    for item in range(start, stop):
        r = item // count
        first = (item - r * count) * segment
        values = x[r * n + first : r * n + min(first + segment, n)]
        top = T(-INF)
        for i in range(values.size):
            top = larger(top, factor * values[i])
        out[item] = factor * top


def _variances(x, out, n, degrees, start, stop):
    for r in range(start, stop):
        row = x[r * n : r * n + n]
        out[r] = squares_of(row, T(sum_of(row) / n)) / degrees


def _centered(factors, x, out, n, start, stop):
    for r in range(start, stop):
        row, y, factor = x[r * n : r * n + n], out[r * n : r * n + n], factors[r]
        mean = T(sum_of(row) / n)
        for i in range(y.size):
            y[i] = factor * (row[i] - mean)


def _extreme_grad(g, x, tops, out, n, start, stop):
    for r in range(start, stop):
        row, y, top = x[r * n : r * n + n], out[r * n : r * n + n], tops[r]
        share = g[r] / T(ties_of(row, top))
        for i in range(y.size):
            y[i] = share if (row[i] == top) | ((row[i] != row[i]) & (top != top)) else T(0)


#: Sums into an array of the same dtype, and into float64 for sums that are added up again.
SUMS, PARTIAL_SUMS = Kernel(_sums, "T[] T[] int int int"), Kernel(_sums, "T[] f8[] int int int")
EXTREMES = Kernel(_extremes, "T[] T[] int int int T")
VARIANCES = Kernel(_variances, "T[] T[] int f8")
CENTERED = Kernel(_centered, "T[] T[] T[] int")
EXTREME_GRAD = Kernel(_extreme_grad, "T[] T[] T[] T[] int")


# -- columns -----------------------------------------------------------------------------------------------------------
# An item is a segment of the rows in a block of columns. If there are few columns, they are one block, and several rows
# are taken as one wide row, whose elements are reduced at the end.
def _column_sums(x, out, n, inner, segment, count, width, blocks, start, stop):
    part, total = scratch(T(0), WIDTH), scratch(0.0, WIDTH)
    for item in range(start, stop):
        o, low = item // blocks, item % blocks * width
        s = o % count
        first = (o // count * n + s * segment) * inner + low
        end = (o // count * n + min(s * segment + segment, n)) * inner
        step = inner if blocks > 1 else width
        size = min(width, inner - low) if blocks > 1 else width
        parts, totals = part[:size], total[:size]
        for i in range(totals.size):
            totals[i] = 0.0
        for begin in range(first, end, step * _ROWS):
            for i in range(parts.size):
                parts[i] = T(0)
            last = min(begin + step * _ROWS, end)
            whole = begin + (last - begin + low) // (4 * step) * (4 * step)
            for k in range(begin, whole, 4 * step):
                a, b = x[k : k + size], x[k + step : k + step + size]
                c, d = x[k + 2 * step : k + 2 * step + size], x[k + 3 * step : k + 3 * step + size]
                for i in range(parts.size):
                    parts[i] += (a[i] + b[i]) + (c[i] + d[i])
            for k in range(whole, last, step):
                a = x[k : min(k + size, end)]
                for i in range(a.size):
                    parts[i] += a[i]
            for i in range(totals.size):
                totals[i] += parts[i]
        y = out[o * inner + low : o * inner + min(low + width, inner)]
        for i in range(y.size):
            sum_ = 0.0
            for k in range(i, size, inner):
                sum_ += totals[k]
            y[i] = sum_


def _column_extremes(x, out, n, inner, segment, count, width, blocks, factor, start, stop):
    top = scratch(T(0), WIDTH)
    for item in range(start, stop):
        o, low = item // blocks, item % blocks * width
        s = o % count
        first = (o // count * n + s * segment) * inner + low
        end = (o // count * n + min(s * segment + segment, n)) * inner
        step = inner if blocks > 1 else width
        size = min(width, inner - low) if blocks > 1 else width
        tops = top[:size]
        for i in range(tops.size):
            tops[i] = T(-INF)
        whole = first + (end - first + low) // (4 * step) * (4 * step)
        for k in range(first, whole, 4 * step):
            a, b = x[k : k + size], x[k + step : k + step + size]
            c, d = x[k + 2 * step : k + 2 * step + size], x[k + 3 * step : k + 3 * step + size]
            for i in range(tops.size):
                top_of_four = larger(larger(factor * a[i], factor * b[i]), larger(factor * c[i], factor * d[i]))
                tops[i] = larger(tops[i], top_of_four)
        for k in range(whole, end, step):
            a = x[k : min(k + size, end)]
            for i in range(a.size):
                tops[i] = larger(tops[i], factor * a[i])
        y = out[o * inner + low : o * inner + min(low + width, inner)]
        for i in range(y.size):
            best = T(-INF)
            for k in range(i, size, inner):
                best = larger(best, tops[k])
            y[i] = factor * best


COLUMN_SUMS = Kernel(_column_sums, "T[] f8[] int int int int int int")
COLUMN_EXTREMES = Kernel(_column_extremes, "T[] T[] int int int int int int T")
