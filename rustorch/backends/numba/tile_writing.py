"""Machine code that writes a tile of a matrix product from registers. See `tile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from .processor import VECTORS, tile_width
from .vectors import INDEX, WORD, Vectors


class TileVectors(Vectors):
    """The vectors of a tile."""

    def __init__(self, context: Any, builder: Any, kind: Any):
        self.columns = tile_width(kind.dtype.bitwidth // 8)
        super().__init__(context, builder, kind, self.columns // VECTORS)


def _block(vectors: TileVectors, totals: Sequence[Sequence[Any]]) -> Any:
    """Rows of vectors in memory, as far apart as a tile is wide."""
    with vectors.builder.goto_entry_block():
        block = vectors.builder.alloca(vectors.scalar, size=WORD(len(totals) * vectors.columns))
        block.align = 64
    for i, row in enumerate(totals):
        for v, total in enumerate(row):
            vectors.store(total, block, WORD(i * vectors.columns + v * vectors.lanes))
    return block


def _is_full(builder: Any, counts: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Whether these counts are as large as they can be."""
    full = ir.Constant(ir.IntType(1), 1)
    for count, size in zip(counts, sizes, strict=True):
        full = builder.and_(full, builder.icmp_signed("==", count, WORD(size)))
    return full


def write(
    vectors: TileVectors, totals: Sequence[Sequence[Any]], target: Any, count: Any, begins: Sequence[Any], step: Any,
    filled: Sequence[Any], is_sum: Any,
) -> None:  # fmt: skip
    """Write the first ``count`` rows, and of each vector the columns that are filled, or add them to what is there."""
    builder, across = vectors.builder, range(len(begins))
    full = _is_full(builder, [count, *filled], [len(totals), *[vectors.lanes for _ in across]])
    with builder.if_else(full) as (whole, part):
        with whole:
            _write_whole(vectors, totals, target, begins, step, is_sum)
        with part:
            block = _block(vectors, totals)
            for v in across:
                writer = _Writer(vectors, target, filled[v], is_sum)
                writer.column(builder.gep(block, [WORD(v * vectors.lanes)]), count, begins[v], step)


def _write_whole(
    vectors: TileVectors, totals: Sequence[Sequence[Any]], target: Any, begins: Sequence[Any], step: Any, is_sum: Any
) -> None:
    """Write all vectors of all rows from the registers, or add them to what is there."""
    builder = vectors.builder
    with builder.if_else(is_sum) as (then, otherwise):
        for branch, adds in ((then, True), (otherwise, False)):
            with branch:
                for i, row in enumerate(totals):
                    for total, begin in zip(row, begins, strict=True):
                        place = builder.add(begin, builder.mul(step, WORD(i)))
                        new = builder.fadd(total, vectors.load(target, place)) if adds else total
                        vectors.store(new, target, place)


class _Writer:
    """Writes vectors, or adds them to what is there; masked ones only as far as they are filled."""

    def __init__(self, vectors: TileVectors, target: Any, filled: Any, is_sum: Any):
        self._vectors, self._target, self._filled, self._is_sum = vectors, target, filled, is_sum
        builder, bits = vectors.builder, ir.IntType(1)
        lanes, kind = vectors.lanes, vectors.type
        name = f"v{lanes}f{8 * vectors.bytes}"
        mask = ir.VectorType(bits, lanes)
        numbers = ir.VectorType(WORD, lanes)
        none = ir.Constant(numbers, ir.Undefined)
        limit = builder.shuffle_vector(
            builder.insert_element(none, filled, INDEX(0)), none,
            ir.Constant(ir.VectorType(INDEX, lanes), [0] * lanes),
        )  # fmt: skip
        self._mask = builder.icmp_signed("<", ir.Constant(numbers, list(range(lanes))), limit)
        pointer = kind.as_pointer()
        self._load = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [pointer, INDEX, mask, kind]), f"llvm.masked.load.{name}.p0"
        )
        self._store = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [kind, pointer, INDEX, mask]),
            f"llvm.masked.store.{name}.p0",
        )

    def column(self, block: Any, count: Any, start: Any, step: Any) -> None:
        """Write one vector of each of the first ``count`` rows of a block. A loop is a tenth of the code that the rows
        would be, written out.
        """
        builder, vectors = self._vectors.builder, self._vectors
        whole = builder.icmp_signed("==", self._filled, WORD(vectors.lanes))
        with cgutils.for_range(builder, count, intp=WORD) as rows:
            total = vectors.load(block, builder.mul(rows.index, WORD(vectors.columns)))
            place = builder.add(start, builder.mul(step, rows.index))
            with builder.if_else(whole) as (then, otherwise):
                for branch, masked in ((then, False), (otherwise, True)):
                    with branch:
                        self._write(total, place, masked)

    def _write(self, total: Any, place: Any, masked: bool) -> None:
        builder, align = self._vectors.builder, self._vectors.bytes
        pointer = builder.bitcast(builder.gep(self._target, [place]), self._vectors.type.as_pointer())
        undefined = ir.Constant(self._vectors.type, ir.Undefined)
        before = builder.block
        with builder.if_then(self._is_sum):
            if masked:
                old = builder.call(self._load, [pointer, INDEX(align), self._mask, undefined])
            else:
                old = builder.load(pointer, align=align)
            added = builder.fadd(total, old)
            adding = builder.block
        result = builder.phi(self._vectors.type)
        result.add_incoming(total, before)
        result.add_incoming(added, adding)
        if masked:
            builder.call(self._store, [result, pointer, INDEX(align), self._mask])
        else:
            builder.store(result, pointer, align=align)
