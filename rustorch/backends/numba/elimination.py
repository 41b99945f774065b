"""Machine code for the elimination of a matrix's unknowns: multiples of one row are subtracted from others."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .processor import tile_shape
from .vectors import WORD, Vectors

#: Rows that are changed at once, and the numbers that a row's length is a multiple of.
ROWS, LENGTH = 4, 8


@intrinsic
def subtract_multiples(
    typing_context: Any, matrix: Any, at: Any, pitch: Any, other: Any, length: Any, factors: Any, first: Any
) -> Any:
    """Subtract multiples of the row that begins at ``other`` from 4 rows, which begin at ``at`` and lie ``pitch``
    apart. Their factors begin at ``factors[first]``. The ``length`` is a multiple of 8. The vectors are written out
    because LLVM cannot know that the rows do not overlap.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        item = matrix.dtype.bitwidth // 8
        vectors = Vectors(context, builder, matrix, min(tile_shape()[1] // item, LENGTH))
        data, table = vectors.data(matrix, values[0]), vectors.data(factors, values[5])
        at, pitch, other, length, first = values[1], values[2], values[3], values[4], values[6]
        starts = [builder.add(at, builder.mul(pitch, WORD(i))) for i in range(ROWS)]
        each = [vectors.filled(vectors.number(table, builder.add(first, WORD(i)))) for i in range(ROWS)]
        name = f"llvm.fmuladd.v{vectors.lanes}f{8 * item}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vectors.type, [vectors.type] * 3), name)
        with cgutils.for_range_slice(builder, WORD(0), length, WORD(vectors.lanes), intp=WORD) as (column, _):
            row = builder.fneg(vectors.load(data, builder.add(other, column)))
            for start, factor in zip(starts, each, strict=True):
                place = builder.add(start, column)
                vectors.store(builder.call(fma, [row, factor, vectors.load(data, place)]), data, place)
        return context.get_dummy_value()

    word = types.int64
    return types.void(matrix, word, word, word, word, factors, word), generate
