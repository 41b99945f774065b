"""The loops of compiled attention over heads, queries and keys. See `attention`, and `attention_blocks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .attention_blocks import (
    add_mask,
    copy_rows,
    hide,
    multiply_by,
    product,
    scale_scores,
    softmax,
    softmax_grad,
    turn_rows,
)
from .kernel import Kernel
from .products_loops import clear
from .softmax_columns import INF, finite_or_zero

if TYPE_CHECKING:
    from .mathematics import exp, log
    from .reductions import part, plus, scratch
    from .tile import tile_columns

    T: Any = float

# -- what the integers that a kernel gets stand for --------------------------------------------------------------------
ITEMS, UNITS, PARTS, HEADS, QUERIES, KEYS, SIZE, VALUES, CAUSAL, MASKED, KEPT, BLOCK, PANELS = range(13)
#: How far apart the rows of a block of keys and of one of values are in the buffer.
SIZE_PITCH, PITCH = 13, 14
#: How far apart the buffers of two items are, and where in them these begin: the scores of a block and a panel, their
#: gradients, numbers of a mask, the keys and values of a block, and of all panels the queries and gradients of the
#: output, both also turned, and sums.
BUFFER, SCORES, SLOPES, TERMS, KEY, VALUE, QUERY, GRAD, QUERY_TURNED, GRAD_TURNED, SUMS = range(15, 26)
#: How far apart the elements of an array are along batch, heads, rows and columns: four integers from here on. Those of
#: parts of the gradient of q are in PART.
Q, K, V, MASK, KEEP, OUT, G, DQ, DK, DV = range(26, 66, 4)
PART = 66
#: 0 and 1: whether a product is added to what is there. For literals, Numba would compile the product twice.
WRITES, ADDS = 67, 68
#: Whether the units of an item are spread over all of them, and not neighbours.
SPREAD = 69

# Four tables have the places of elements that are some steps apart: 1 (`by_one`), the columns of a tile (`by_width`),
# SIZE_PITCH (`by_size`), or PITCH (`by_values`).


def _place(steps: Any, batch: int, head: int, row: int) -> int:
    """Where a row of an array begins, by the array's steps."""
    place: int = batch * steps[0] + head * steps[1] + row * steps[2]
    return place


def _turn_panels(turned: Any, x: Any, at: int, step: int, by_one: Any, size: int, count: int) -> None:
    """Copy the rows of all panels, turned."""
    width = tile_columns(T(0.0))
    for i in range(0, count, width):
        turn_rows(turned[i * size :], x, at + i * step, step, by_one, size, min(width, count - i))


def _unit(item: int, index: int, numbers: Any) -> int:
    """Which unit an item computes as its ``index``-th one, counted from 0. It is -1 after the last one.

    Spread units are dealt out in rounds, every second round backwards. Later units of a head take longer, so no item
    gets the longest one in every round.
    """
    items, units = numbers[ITEMS], numbers[UNITS]
    if numbers[SPREAD]:
        unit = index * items + (item if index % 2 == 0 else items - 1 - item)
        return unit if unit < units else -1
    unit = units * item // items + index
    return unit if unit < units * (item + 1) // items else -1


def _scores(
    scores: Any, key: Any, turned: Any, n: int, count: int, ahead: int, mask: Any, at: int, terms: Any, tables: Any,
    numbers: Any, scale: Any,
) -> None:  # fmt: skip
    """The scores of a block of keys and a panel of queries: scaled, with the mask, and hidden ones -inf."""
    width = tile_columns(T(0.0))
    by_one, by_width, by_size, mask_depths = tables
    product(key, by_size, n, by_one, numbers[SIZE], turned, by_width, scores, width, width, numbers[WRITES])
    scale_scores(scores, n, width, scale)
    if numbers[MASKED]:
        turn_rows(terms, mask, at, numbers[MASK + 2], mask_depths, n, count)
        add_mask(scores, terms, n, width)
    if numbers[CAUSAL]:
        hide(scores, n, ahead)


# -- the kernels -------------------------------------------------------------------------------------------------------
def _write(
    sums: Any, tops: Any, totals: Any, count: int, pitch: int, values: int, out: Any, at: int, step: int, logs: Any,
    at_log: int,
) -> None:  # fmt: skip
    """Divide sums by the totals, and write the output and the logarithms of some queries."""
    for i in range(count):
        total = T(1.0) if totals[i] == T(0.0) else totals[i]  # 0: every score is -inf
        factor = T(1.0) / total
        row, result = part(sums, i * pitch, values), part(out, at + i * step, values)
        for j in range(result.size):
            result[j] = row[j] * factor
        logs[at_log + i] = finite_or_zero(tops[i]) * 1.0 + log(total * 1.0)


def _attend_panel(
    scores: Any, value: Any, n: int, count: int, is_first: int, sums: Any, tops: Any, totals: Any, factors: Any,
    keep: Any, at: int, terms: Any, tables: Any, numbers: Any,
) -> None:  # fmt: skip
    """Add the values of a block of keys to the output of a panel, weighted by its scores."""
    by_one, by_width, by_values, keep_depths = tables
    width, pitch = tile_columns(T(0.0)), numbers[PITCH]
    softmax(scores, n, tops, totals, factors)
    if numbers[KEPT]:
        turn_rows(terms, keep, at, numbers[KEEP + 2], keep_depths, n, count)
        multiply_by(scores, terms, n, width)
    if not is_first:
        for i in range(count):
            row = part(sums, i * pitch, numbers[VALUES])
            for j in range(row.size):
                row[j] *= factors[i]
    adds = numbers[WRITES if is_first else ADDS]
    product(scores, by_one, count, by_width, n, value, by_values, sums, pitch, numbers[VALUES], adds)


def _attend(
    q: Any, k: Any, v: Any, mask: Any, keep: Any, out: Any, logs: Any, buffer: Any, by_one: Any, by_width: Any,
    by_size: Any, by_values: Any, mask_depths: Any, keep_depths: Any, numbers: Any, scale: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """A unit is a block of queries of a head."""
    heads, queries, keys, size = numbers[HEADS], numbers[QUERIES], numbers[KEYS], numbers[SIZE]
    causal, block, pitch = numbers[CAUSAL], numbers[BLOCK], numbers[PITCH]
    width = tile_columns(T(0.0))
    each = numbers[PANELS] * width
    blocks = (queries + each - 1) // each
    tops, totals, factors = scratch(T(0.0), 256), scratch(T(0.0), 256), scratch(T(0.0), 64)
    for item in range(start, stop):
        mine = buffer[item * numbers[BUFFER] :]
        scores, terms = mine[numbers[SCORES] :], mine[numbers[TERMS] :]
        key, value = mine[numbers[KEY] :], mine[numbers[VALUE] :]
        turned, sums = mine[numbers[QUERY_TURNED] :], mine[numbers[SUMS] :]
        for index in range(numbers[UNITS]):
            unit = _unit(item, index, numbers)
            if unit < 0:
                break
            batch, head, first = unit // blocks // heads, unit // blocks % heads, unit % blocks * each
            end = min(queries, first + each)
            at = _place(numbers[Q:], batch, head, first)
            _turn_panels(turned, q, at, numbers[Q + 2], by_one, size, end - first)
            for i in range(each):
                tops[i], totals[i] = T(-INF), T(0.0)
            for j in range(0, min(keys, end) if causal else keys, block):
                n = min(block, keys - j)
                copy_rows(key, numbers[SIZE_PITCH], k[_place(numbers[K:], batch, head, j) :], numbers[K + 2], n, size)
                copy_rows(value, pitch, v[_place(numbers[V:], batch, head, j) :], numbers[V + 2], n, numbers[VALUES])
                for i in range(first, end, width):
                    count, p = min(width, end - i), i - first
                    if (causal == 0) | (j < i + count):
                        _scores(scores, key, turned[p * size :], n, count, j - i, mask,
                                _place(numbers[MASK:], batch, head, i) + j * numbers[MASK + 3], terms,
                                (by_one, by_width, by_size, mask_depths), numbers, scale)  # fmt: skip
                        _attend_panel(scores, value, n, count, j == 0, sums[p * pitch :], part(tops, p, width),
                                      part(totals, p, width), factors, keep,
                                      _place(numbers[KEEP:], batch, head, i) + j * numbers[KEEP + 3], terms,
                                      (by_one, by_width, by_values, keep_depths), numbers)  # fmt: skip
            for i in range(first, end, width):
                p = i - first
                _write(sums[p * pitch :], part(tops, p, width), part(totals, p, width), min(width, end - i), pitch,
                       numbers[VALUES], out, _place(numbers[OUT:], batch, head, i), numbers[OUT + 2], logs,
                       (batch * heads + head) * queries + i)  # fmt: skip


def _read_logs(
    logs: Any, at_log: int, g: Any, at: int, step: int, out: Any, place: int, out_step: int, count: int, values: int,
    shifts: Any, corrections: Any, dots: Any,
) -> None:  # fmt: skip
    """What the gradients need of each query: its logarithm, what rounding took from it, and g times the output."""
    for i in range(tile_columns(T(0.0))):
        shifts[i], corrections[i], dots[i] = T(0.0), T(1.0), T(0.0)
    for i in range(count):
        exact = logs[at_log + i]
        shift = T(exact)
        lost = finite_or_zero(shift) * 1.0 - exact if abs(exact) < INF else 0.0
        shifts[i], corrections[i] = shift, exp(T(lost))
        one, other = part(g, at + i * step, values), part(out, place + i * out_step, values)
        dot = T(0.0)
        for j in range(one.size):
            dot = plus(dot, one[j] * other[j])
        dots[i] = dot


def _grad_panel(
    scores: Any, slopes: Any, key: Any, value: Any, query: Any, grad: Any, grad_turned: Any, n: int, count: int,
    sums: Any, dk: Any, at_k: int, dv: Any, at_v: int, keep: Any, at: int, terms: Any, shifts: Any, corrections: Any,
    dots: Any, tables: Any, numbers: Any, scale: Any,
) -> None:  # fmt: skip
    """Add the gradients of a block of keys and a panel of queries."""
    by_one, by_width, by_size, by_values, keep_depths = tables
    width, size, values, size_pitch = tile_columns(T(0.0)), numbers[SIZE], numbers[VALUES], numbers[SIZE_PITCH]
    product(value, by_values, n, by_one, values, grad_turned, by_width, slopes, width, width, numbers[WRITES])
    if numbers[KEPT]:
        turn_rows(terms, keep, at, numbers[KEEP + 2], keep_depths, n, count)
    softmax_grad(scores, slopes, terms, numbers[KEPT], n, shifts, corrections, dots, scale)
    product(scores, by_width, n, by_one, count, grad, by_values, dv[at_v:], numbers[DV + 2], values, numbers[ADDS])
    product(slopes, by_width, n, by_one, count, query, by_size, dk[at_k:], numbers[DK + 2], size, numbers[ADDS])
    product(slopes, by_one, count, by_width, n, key, by_size, sums, size_pitch, size, numbers[ADDS])


def _attend_grad(
    g: Any, q: Any, k: Any, v: Any, mask: Any, keep: Any, out: Any, logs: Any, dq: Any, dk: Any, dv: Any, buffer: Any,
    by_one: Any, by_width: Any, by_size: Any, by_values: Any, mask_depths: Any, keep_depths: Any, numbers: Any,
    scale: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """A unit is a head, or a part of the keys of a head."""
    parts, heads, keys, block = numbers[PARTS], numbers[HEADS], numbers[KEYS], numbers[BLOCK]
    each = numbers[PANELS] * tile_columns(T(0.0))
    for item in range(start, stop):
        for index in range(numbers[UNITS]):
            unit = _unit(item, index, numbers)
            if unit < 0:
                break
            share, batch, head = unit % parts, unit // parts // heads, unit // parts % heads
            blocks = (keys + block - 1) // block
            begin, end = blocks * share // parts * block, min(keys, blocks * (share + 1) // parts * block)
            for j in range(begin, end):
                at, place = _place(numbers[DK:], batch, head, j), _place(numbers[DV:], batch, head, j)
                clear(part(dk, at, numbers[SIZE]))
                clear(part(dv, place, numbers[VALUES]))
            for first in range(0, numbers[QUERIES], each):
                _grad_block(g, q, k, v, mask, keep, out, logs, dq[share * numbers[PART] :], dk, dv, buffer,
                            (by_one, by_width, by_size, by_values, mask_depths, keep_depths), numbers, scale, item,
                            batch, head, first, begin, end)  # fmt: skip


def _grad_block(
    g: Any, q: Any, k: Any, v: Any, mask: Any, keep: Any, out: Any, logs: Any, dq: Any, dk: Any, dv: Any, buffer: Any,
    tables: Any, numbers: Any, scale: Any, item: int, batch: int, head: int, first: int, begin: int, end: int,
) -> None:  # fmt: skip
    """Write the gradients of some queries, and add to those of some keys and values."""
    by_one, by_width, by_size, by_values, mask_depths, keep_depths = tables
    queries, size, values, causal = numbers[QUERIES], numbers[SIZE], numbers[VALUES], numbers[CAUSAL]
    block, size_pitch, pitch, width = numbers[BLOCK], numbers[SIZE_PITCH], numbers[PITCH], tile_columns(T(0.0))
    shifts, corrections, dots = scratch(T(0.0), 256), scratch(T(0.0), 256), scratch(T(0.0), 256)
    mine = buffer[item * numbers[BUFFER] :]
    scores, slopes = mine[numbers[SCORES] :], mine[numbers[SLOPES] :]
    terms, sums = mine[numbers[TERMS] :], mine[numbers[SUMS] :]
    key, value = mine[numbers[KEY] :], mine[numbers[VALUE] :]
    query, turned = mine[numbers[QUERY] :], mine[numbers[QUERY_TURNED] :]
    grad, grad_turned = mine[numbers[GRAD] :], mine[numbers[GRAD_TURNED] :]
    last = min(queries, first + numbers[PANELS] * width)
    at, place = _place(numbers[Q:], batch, head, first), _place(numbers[G:], batch, head, first)
    copy_rows(query, size_pitch, q[at:], numbers[Q + 2], last - first, size)
    copy_rows(grad, pitch, g[place:], numbers[G + 2], last - first, values)
    _turn_panels(turned, q, at, numbers[Q + 2], by_one, size, last - first)
    _turn_panels(grad_turned, g, place, numbers[G + 2], by_one, values, last - first)
    for i in range(first, last, width):
        p, count = i - first, min(width, last - i)
        _read_logs(logs, (batch * numbers[HEADS] + head) * queries + i, g, _place(numbers[G:], batch, head, i),
                   numbers[G + 2], out, _place(numbers[OUT:], batch, head, i), numbers[OUT + 2], count, values,
                   part(shifts, p, width), part(corrections, p, width), part(dots, p, width))  # fmt: skip
    clear(part(sums, 0, (last - first) * size_pitch))
    for j in range(begin, min(end, last) if causal else end, block):
        n = min(block, end - j)
        copy_rows(key, size_pitch, k[_place(numbers[K:], batch, head, j) :], numbers[K + 2], n, size)
        copy_rows(value, pitch, v[_place(numbers[V:], batch, head, j) :], numbers[V + 2], n, values)
        for i in range(first, last, width):
            p, count = i - first, min(width, last - i)
            if (causal == 0) | (j < i + count):
                _scores(scores, key, turned[p * size :], n, count, j - i, mask,
                        _place(numbers[MASK:], batch, head, i) + j * numbers[MASK + 3], terms,
                        (by_one, by_width, by_size, mask_depths), numbers, scale)  # fmt: skip
                _grad_panel(scores, slopes, key, value, query[p * size_pitch :], grad[p * pitch :],
                            grad_turned[p * values :], n, count, sums[p * size_pitch :], dk,
                            _place(numbers[DK:], batch, head, j), dv, _place(numbers[DV:], batch, head, j), keep,
                            _place(numbers[KEEP:], batch, head, i) + j * numbers[KEEP + 3], terms,
                            part(shifts, p, width), part(corrections, p, width), part(dots, p, width),
                            (by_one, by_width, by_size, by_values, keep_depths), numbers, scale)  # fmt: skip
    copy_rows(dq[_place(numbers[DQ:], batch, head, first) :], numbers[DQ + 2], sums, size_pitch, last - first, size)


_TABLES = "i8[] i8[] i8[] i8[] i8[] i8[] i8[] T"
#: A call waits for the compiler, 5 s, from 2**20 scores on. NumPy takes about 10 ms for as many.
_PATIENCE = 16
ATTEND = Kernel(_attend, f"T[] T[] T[] T[]? T[]? T[] f8[] T[] {_TABLES}", name="attention", patience=_PATIENCE)
ATTEND_GRAD = Kernel(
    _attend_grad, f"T[] T[] T[] T[] T[]? T[]? T[] f8[] T[] T[] T[] T[] {_TABLES}", name="attention_grad",
    patience=_PATIENCE,
)  # fmt: skip
