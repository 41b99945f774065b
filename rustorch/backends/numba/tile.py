"""Machine code of a matrix product's inner part: a tile of the result, whose sums stay in registers.

LLVM does not find this shape of a loop by itself, so the vectors are written out here. How large a tile is depends on
the processor: see `processor.tile_shape`. Source: Goto & van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .processor import tile_shape, tile_width
from .tile_writing import TileVectors, write
from .vectors import INDEX, WORD


@intrinsic
def tile_rows(typing_context: Any) -> Any:
    """The number of rows of a tile."""
    return types.int64(), lambda context, builder, signature, values: WORD(tile_shape()[0])


@intrinsic
def tile_columns(typing_context: Any, like: Any) -> Any:
    """The number of columns of a tile of numbers like this one."""
    return types.int64(like), lambda context, builder, signature, values: WORD(tile_width(like.bitwidth // 8))


@intrinsic(prefer_literal=True)
def copy_row(typing_context: Any, target: Any, at: Any, source: Any, start: Any, places: Any, parts: Any) -> Any:
    """Copy as many numbers as a tile has columns, as 1, 2, 4, 8 or 16 vectors: each from ``start`` plus its place.
    ``places`` has a place for each column. A vector has at least one number.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = TileVectors(context, builder, target)
        lanes = max(vectors.columns // parts.literal_value, 1)
        to, of = vectors.data(target, values[0]), vectors.data(source, values[2])
        table = vectors.data(places, values[4])
        for j in range(0, vectors.columns, lanes):
            place = builder.add(values[3], vectors.number(table, WORD(j)))
            vectors.store(vectors.load(of, place, lanes), to, builder.add(values[1], WORD(j)))
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, places, parts), generate


@intrinsic
def turn(
    typing_context: Any, target: Any, at: Any, pitch: Any, source: Any, start: Any, places: Any, first: Any
) -> Any:
    """Copy 4 rows of 4 numbers each, turned: row i begins at ``start + places[first + i]``, and becomes column
    ``at + i`` of the target, whose rows are ``pitch`` apart.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = TileVectors(context, builder, target)
        to, of, table = (vectors.data(signature.args[i], values[i]) for i in (0, 3, 5))
        at, pitch, start, first = (values[i] for i in (1, 2, 4, 6))

        rows = []
        for i in range(4):
            place = vectors.number(table, builder.add(first, WORD(i)))
            rows.append(vectors.load(of, builder.add(start, place), 4))
        low = [vectors.shuffle(rows[i], rows[i + 1], (0, 4, 1, 5)) for i in (0, 2)]
        high = [vectors.shuffle(rows[i], rows[i + 1], (2, 6, 3, 7)) for i in (0, 2)]
        columns = [vectors.shuffle(a, b, lanes) for a, b in (low, high) for lanes in ((0, 1, 4, 5), (2, 3, 6, 7))]
        for k, column in enumerate(columns):
            vectors.store(column, to, builder.add(at, builder.mul(pitch, WORD(k))))
        return context.get_dummy_value()

    words = types.int64, types.int64
    return types.void(target, *words, source, types.int64, places, types.int64), generate


@intrinsic
def fetch(typing_context: Any, array: Any, at: Any) -> Any:
    """Begin to bring an element into the cache. The place need not be in the array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = builder.gep(TileVectors(context, builder, array).data(array, values[0]), [values[1]])
        kind = ir.FunctionType(ir.VoidType(), [address.type, INDEX, INDEX, INDEX])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, INDEX(0), INDEX(3), INDEX(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def copy_run(typing_context: Any, target: Any, at: Any, source: Any, start: Any) -> Any:
    """Copy as many numbers as a tile has columns, from ``start`` on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = TileVectors(context, builder, target)
        to, of = vectors.data(target, values[0]), vectors.data(source, values[2])
        for j in range(0, vectors.columns, vectors.lanes):
            loaded = vectors.load(of, builder.add(values[3], WORD(j)))
            vectors.store(loaded, to, builder.add(values[1], WORD(j)))
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), generate


@intrinsic(prefer_literal=True)
def tile(
    typing_context: Any, a: Any, at: Any, rows: Any, row: Any, count: Any, depths: Any, depth: Any, length: Any, b: Any,
    lines: Any, line: Any, begins: Any, c: Any, places: Any, place: Any, step: Any, counts: Any, adds: Any, terms: Any,
    even: Any, breadth: Any,
) -> Any:  # fmt: skip
    """Sum the products of a tile.

    The element in row i and column j is the sum over k of ``a[at + rows[row + i] + depths[depth + k]]`` times
    ``b[lines[line + k] + begins[v] + j]``, for at least one k, where v is the number of a vector and j counts its
    columns. The first ``count`` rows are written to ``c[places[v] + place + i * step + j]``, or added to what is there
    if ``adds`` is not 0. Vector v has ``counts[v]`` columns that are written. There are ``breadth`` vectors, 1 or 2.
    ``terms`` are None, or an array with a number for each column that is added to its sums. ``even`` is not 0 if
    ``depths`` and ``lines`` go in even steps: then they need not be read.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        at, row, count, depth, length, line, place, step, adds, even = (
            values[i] for i in (1, 3, 4, 6, 7, 10, 14, 15, 17, 19)
        )
        vectors, height = TileVectors(context, builder, a), tile_shape()[0]
        lanes, across = vectors.lanes, range(breadth.literal_value)
        source, row_table, depth_table, second, line_table, begin_table, target, place_table, count_table = (
            vectors.data(signature.args[i], values[i]) for i in (0, 2, 5, 8, 9, 11, 12, 13, 16)
        )
        last, starts = builder.sub(count, WORD(1)), []
        for i in range(height):  # rows that are not there read the last one that is
            index = builder.select(builder.icmp_signed("<", WORD(i), count), WORD(i), last)
            starts.append(builder.add(at, vectors.number(row_table, builder.add(row, index))))
        firsts = [vectors.number(begin_table, WORD(v)) for v in across]
        sides = (source, depth_table, depth), (second, line_table, line)
        totals = _sums(vectors, sides, starts, firsts, length, even)
        if not isinstance(signature.args[18], types.NoneType):
            added = [vectors.load(vectors.data(signature.args[18], values[18]), WORD(v * lanes)) for v in across]
            totals = [[builder.fadd(total, added[v]) for v, total in enumerate(row)] for row in totals]
        is_sum = builder.icmp_signed("!=", adds, WORD(0))
        begins = [builder.add(place, vectors.number(place_table, WORD(v))) for v in across]
        filled = [vectors.number(count_table, WORD(v)) for v in across]
        write(vectors, totals, target, count, begins, step, filled, is_sum)
        return context.get_dummy_value()

    word = types.int64
    signature = types.void(
        a, word, rows, word, word, depths, word, word, b, lines, word, begins, c, places, word, word, counts, word,
        terms, word, breadth,
    )  # fmt: skip
    return signature, generate


def _sums(
    vectors: TileVectors, sides: Any, starts: Sequence[Any], firsts: Sequence[Any], length: Any, even: Any
) -> Any:
    """The sums of a tile, by one of two loops: without tables it needs fewer instructions."""
    builder = vectors.builder
    one, steps = WORD(1), []
    for _, table, first in sides:  # a single term has no following place, and no step
        place = builder.add(first, builder.select(builder.icmp_signed(">", length, one), one, WORD(0)))
        steps.append(builder.sub(vectors.number(table, place), vectors.number(table, first)))
    blocks, results = [], []
    end = builder.append_basic_block("sums.end")
    loops = [builder.append_basic_block(name) for name in ("sums.even", "sums.tables")]
    builder.cbranch(builder.icmp_signed("!=", even, WORD(0)), *loops)
    for block, is_even in zip(loops, (True, False), strict=True):
        builder.position_at_end(block)
        results.append(_loop(vectors, sides, starts, firsts, length, steps if is_even else None))
        blocks.append(builder.block)
        builder.branch(end)
    builder.position_at_end(end)
    totals = []
    for i in range(len(starts)):
        row = []
        for v in range(len(firsts)):
            total = builder.phi(vectors.type)
            for block, result in zip(blocks, results, strict=True):
                total.add_incoming(result[i][v], block)
            row.append(total)
        totals.append(row)
    return totals


def _loop(vectors: TileVectors, sides: Any, starts: Any, firsts: Any, length: Any, steps: Any) -> Any:
    """A loop over the terms, with tables if there are no steps. Returns its sums."""
    builder, kind = vectors.builder, vectors.type
    name = f"v{vectors.lanes}f{8 * vectors.bytes}"
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.{name}")
    places = [
        None if steps is None else builder.gep(data, [vectors.number(table, first)]) for data, table, first in sides
    ]
    before = builder.block
    body, end = builder.append_basic_block("products"), builder.append_basic_block("products.end")
    builder.branch(body)
    builder.position_at_end(body)
    k = builder.phi(WORD)
    k.add_incoming(WORD(0), before)
    sums = [[builder.phi(kind) for _ in firsts] for _ in starts]
    bases = []
    for (data, table, first), place in zip(sides, places, strict=True):
        if place is None:
            bases.append(builder.gep(data, [vectors.number(table, builder.add(first, k))]))
        else:
            base = builder.phi(place.type)
            base.add_incoming(place, before)
            bases.append(base)
    factors = [vectors.load(bases[1], column) for column in firsts]
    totals = []
    for i, start in enumerate(starts):
        factor = vectors.filled(vectors.number(bases[0], start))
        totals.append([builder.call(fma, [factor, factors[v], sums[i][v]]) for v in range(len(firsts))])
    following = builder.add(k, WORD(1))
    k.add_incoming(following, body)
    if steps is not None:
        for base, step in zip(bases, steps, strict=True):
            base.add_incoming(builder.gep(base, [step]), body)
    for row, new in zip(sums, totals, strict=True):
        for old, total in zip(row, new, strict=True):
            old.add_incoming(ir.Constant(kind, [0.0] * vectors.lanes), before)
            old.add_incoming(total, body)
    branch = builder.cbranch(builder.icmp_signed("<", following, length), body, end)
    branch.set_metadata("llvm.loop", _once(builder.module))
    builder.position_at_end(end)
    return totals


@intrinsic(prefer_literal=True)
def put_turned(typing_context: Any, block: Any, c: Any, place: Any, outputs: Any, adds: Any, breadth: Any) -> Any:
    """Write a whole tile whose rows lie side by side in the result: the element in row i and column j of a block goes
    to ``c[place + outputs[j] + i]``, or is added to what is there if ``adds`` is not 0. Columns whose output is below 0
    are left out. There are ``breadth`` vectors, 1 or 2.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors, height = TileVectors(context, builder, block), tile_shape()[0]
        source, target, table = (vectors.data(signature.args[i], values[i]) for i in (0, 1, 3))
        is_sum = builder.icmp_signed("!=", values[4], WORD(0))
        for v in range(breadth.literal_value):
            rows = [vectors.load(source, WORD(i * vectors.columns + v * vectors.lanes)) for i in range(height)]
            for j, column in enumerate(_turned(vectors, rows)):
                output = vectors.number(table, WORD(v * vectors.lanes + j))
                with builder.if_then(builder.icmp_signed(">=", output, WORD(0))):
                    start = builder.add(values[2], output)
                    with builder.if_else(is_sum) as (then, otherwise):
                        for branch, adding in ((then, True), (otherwise, False)):
                            with branch:
                                for offset, piece in column:
                                    at = builder.add(start, WORD(offset))
                                    old = vectors.load(target, at, piece.type.count) if adding else None
                                    vectors.store(builder.fadd(piece, old) if adding else piece, target, at)
        return context.get_dummy_value()

    word = types.int64
    return types.void(block, c, word, outputs, word, breadth), generate


def _turned(vectors: TileVectors, rows: list[Any]) -> list[list[tuple[int, Any]]]:
    """The columns of a matrix of these rows, each as pieces: where they begin, and vectors.

    All numbers one after another, a shuffle that takes turns between their first and second half moves the highest bit
    of a number's place to the end. So many shuffles as a row's number has bits make the column's number come first.
    """
    height, lanes = len(rows), vectors.lanes
    size = 1 << (height - 1).bit_length()
    rows = rows + [ir.Constant(vectors.type, ir.Undefined)] * (size - height)
    for _ in range(size.bit_length() - 1):
        halves = zip(rows[: size // 2], rows[size // 2 :], strict=True)
        pairs = [i // 2 + i % 2 * lanes for i in range(2 * lanes)]
        rows = [vectors.shuffle(a, b, pairs[k : k + lanes]) for a, b in halves for k in (0, lanes)]
    columns = []
    for j in range(lanes):
        pieces, offset = [], 0
        while offset < height:
            length = min(1 << ((height - offset).bit_length() - 1), lanes)
            row, first = divmod(j * size + offset, lanes)
            pieces.append((offset, vectors.shuffle(rows[row], rows[row], range(first, first + length))))
            offset += length
        columns.append(pieces)
    return columns


def _once(module: Any) -> Any:
    """What tells LLVM not to write a loop's body several times: there are no registers for it."""
    disabled = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = ir.values.MDValue(module, [disabled], name=str(len(module.metadata)))
    loop.operands = (loop, disabled)  # it names itself, so that no other loop is meant
    return loop
