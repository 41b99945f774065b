"""What attention does with the scores of a block of keys and a panel of queries: products, and the passes between.

Scores are turned: a row for each key, a column for each query of a panel, which has as many queries as a tile has
columns. So each lane of a vector belongs to one query, and a softmax needs no sums across lanes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .products_loops import clear, fill_apart
from .softmax_columns import INF, finite_or_zero

if TYPE_CHECKING:
    from .mathematics import exp
    from .reductions import part, scratch
    from .tile import tile, tile_columns, tile_rows

    T: Any = float


# -- products ----------------------------------------------------------------------------------------------------------
def product(
    a: Any, rows: Any, count: int, depths: Any, length: int, b: Any, lines: Any, c: Any, step: int, columns: int,
    adds: int,
) -> None:  # fmt: skip
    """Write the product of ``count`` rows of one matrix with another one, or add it to what is there."""
    height, width = tile_rows(), tile_columns(T(0.0))
    lanes = width // 2
    begins, places, counts = scratch(0, 2), scratch(0, 2), scratch(0, 2)
    for j in range(0, columns, width):
        for v in range(2):
            begins[v] = places[v] = j + v * lanes
            counts[v] = max(0, min(lanes, columns - j - v * lanes))
        for i in range(0, count, height):
            n = min(height, count - i)
            if counts[1] > 0:
                tile(a, 0, rows, i, n, depths, 0, length, b, lines, 0, begins, c, places, i * step, step,
                     counts, adds, None, 1, 2)  # fmt: skip
            else:
                tile(a, 0, rows, i, n, depths, 0, length, b, lines, 0, begins, c, places, i * step, step,
                     counts, adds, None, 1, 1)  # fmt: skip


def copy_rows(target: Any, pitch: int, source: Any, step: int, count: int, length: int) -> None:
    """Copy rows."""
    for r in range(count):
        new, old = part(target, r * pitch, length), part(source, r * step, length)
        for i in range(new.size):
            new[i] = old[i]


def turn_rows(target: Any, source: Any, at: int, step: int, depths: Any, length: int, count: int) -> None:
    """Copy rows, turned: they become columns, as many as a tile has. Those past the last one are 0."""
    width = tile_columns(T(0.0))
    places = scratch(0, 64)
    for j in range(width):
        places[j] = j * step
    if count < width:
        clear(part(target, 0, length * width))
    fill_apart(target, source, at, depths, 0, length, places, count, width)


# -- what lies between the products ------------------------------------------------------------------------------------
def _more(top: Any, score: Any) -> Any:
    """The larger number. A score that is nan is left out: its exponential makes the total nan."""
    return score if score > top else top


def scale_scores(scores: Any, count: int, width: int, scale: Any) -> None:
    """Scale scores in memory, so that all later loops read the same rounded numbers. If a product and a difference were
    one operation, the largest score minus itself would not be 0.
    """
    all_ = part(scores, 0, count * width)
    for i in range(all_.size):
        all_[i] *= scale


def add_mask(scores: Any, terms: Any, count: int, width: int) -> None:
    """Add a mask."""
    all_, more = part(scores, 0, count * width), part(terms, 0, count * width)
    for i in range(all_.size):
        all_[i] += more[i]


def multiply_by(scores: Any, factors: Any, count: int, width: int) -> None:
    """Multiply, for dropout."""
    all_, more = part(scores, 0, count * width), part(factors, 0, count * width)
    for i in range(all_.size):
        all_[i] *= more[i]


def hide(scores: Any, count: int, ahead: int) -> None:
    """Hide keys from the queries before them. The first key comes ``ahead`` places after the first query."""
    width = tile_columns(T(0.0))
    for j in range(max(0, 1 - ahead), count):
        row = part(scores, j * width, min(width, j + ahead))
        for i in range(row.size):
            row[i] = T(-INF)


def softmax(scores: Any, count: int, tops: Any, totals: Any, factors: Any) -> None:
    """Replace scores by exponentials. ``tops`` are the largest scores of the queries up to these keys, and ``totals``
    the sums of the exponentials. ``factors`` make former sums fit the new maxima.
    """
    width = tile_columns(T(0.0))
    top, total = scratch(T(0.0), 64), scratch(T(0.0), 64)
    for i in range(width):
        top[i], total[i] = tops[i], T(0.0)
    for j in range(0, count - 3, 4):  # a maximum is stored before it can be read again: 4 rows take as long as one
        one, two = part(scores, j * width, width), part(scores, (j + 1) * width, width)
        three, four = part(scores, (j + 2) * width, width), part(scores, (j + 3) * width, width)
        for i in range(one.size):
            top[i] = _more(_more(top[i], one[i]), _more(_more(two[i], three[i]), four[i]))
    for j in range(count // 4 * 4, count):
        row = part(scores, j * width, width)
        for i in range(row.size):
            top[i] = _more(top[i], row[i])
    for i in range(width):
        shift = finite_or_zero(top[i])
        factors[i] = exp(tops[i] - shift)
        tops[i], top[i] = top[i], shift
    for j in range(count):
        row = part(scores, j * width, width)
        for i in range(row.size):
            term = exp(row[i] - top[i])
            row[i] = term
            total[i] += term
    for i in range(width):
        totals[i] = totals[i] * factors[i] + total[i]


def softmax_grad(
    scores: Any, slopes: Any, keep: Any, kept: int, count: int, shifts: Any, corrections: Any, dots: Any, scale: Any,
) -> None:  # fmt: skip
    """Replace scores by the softmax, times ``keep``, and the gradients of that by those of the products."""
    width = tile_columns(T(0.0))
    shift, correction, dot = scratch(T(0.0), 64), scratch(T(0.0), 64), scratch(T(0.0), 64)
    for i in range(width):
        shift[i], correction[i], dot[i] = shifts[i], corrections[i], dots[i]
    if kept:
        multiply_by(slopes, keep, count, width)
    for j in range(count):
        row, slope = part(scores, j * width, width), part(slopes, j * width, width)
        for i in range(row.size):
            p = exp(row[i] - shift[i]) * correction[i]
            row[i] = p
            slope[i] = p * (slope[i] - dot[i]) * scale
    if kept:
        multiply_by(scores, keep, count, width)
