"""Instructions of LLVM for vectors, for code that is written out because LLVM does not find these vectors by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from .processor import prefers_wide_vectors

WORD, INDEX = ir.IntType(64), ir.IntType(32)


class Vectors:
    """Reads and writes vectors of the numbers of an array. They need not be aligned.

    Parameters
    ----------
    context, builder
        Numba's and LLVM's.
    kind : numba type
        The array's.
    lanes : int
        How many numbers a vector has.
    """

    def __init__(self, context: Any, builder: Any, kind: Any, lanes: int):
        self.context, self.builder, self.lanes = context, builder, lanes
        self.scalar = context.get_data_type(kind.dtype)
        self.bytes = context.get_abi_sizeof(self.scalar)
        self.type = ir.VectorType(self.scalar, lanes)

    def data(self, kind: Any, array: Any) -> Any:
        """Where the elements of an array begin."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def load(self, data: Any, at: Any, lanes: int | None = None) -> Any:
        """A vector, or one of another length."""
        kind = ir.VectorType(self.scalar, lanes or self.lanes)
        return self.builder.load(
            self.builder.bitcast(self.builder.gep(data, [at]), kind.as_pointer()), align=self.bytes
        )

    def store(self, vector: Any, data: Any, at: Any) -> None:
        """Write a vector of any length."""
        pointer = self.builder.bitcast(self.builder.gep(data, [at]), vector.type.as_pointer())
        self.builder.store(vector, pointer, align=self.bytes)

    def number(self, data: Any, at: Any) -> Any:
        """One number."""
        return self.builder.load(self.builder.gep(data, [at]))

    def filled(self, number: Any) -> Any:
        """A vector of the same number."""
        one = self.builder.insert_element(ir.Constant(self.type, ir.Undefined), number, INDEX(0))
        return self.shuffle(one, one, [0] * self.lanes)

    def shuffle(self, a: Any, b: Any, lanes: Sequence[int]) -> Any:
        """Lanes of two vectors."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(lanes)), list(lanes)))


def widen(builder: Any) -> None:
    """Let LLVM use the widest vectors in the function that is being built, if the processor is good at them."""
    if prefers_wide_vectors():
        # llvmlite's own ``add`` refuses attributes that have a value
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
