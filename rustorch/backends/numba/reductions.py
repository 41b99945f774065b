"""What loops over rows need besides arithmetic: sums and maxima that use all lanes, scratch on the stack, copies.

A body calls these functions by name. Sums and maxima keep the rest of the body exact: LLVM may change the order of
these additions alone, so ``(x - a) - b`` stays as it is written.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from . import exponentials
from .scalar import Scalar, absolute, where
from .vectors import Vectors


@intrinsic
def plus(typing_context: Any, total: Any, value: Any) -> Any:
    """``total + value`` in a loop that sums: the additions may be made in any order."""

    def generate(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
        return builder.fadd(*values, flags=("reassoc", "nsz", "contract"))

    return total(total, total), generate


@intrinsic
def larger(typing_context: Any, a: Any, b: Any) -> Any:
    """The larger number, or nan if one of them is nan. Which 0 it returns does not matter."""

    def generate(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
        kind = values[0].type
        function = builder.module.declare_intrinsic("llvm.maximum", [kind], ir.FunctionType(kind, [kind, kind]))
        return builder.call(function, values, fastmath=("nsz",))

    return a(a, a), generate


@intrinsic
def less_one(typing_context: Any, power: Any, x: Any) -> Any:
    """``exp(x) - 1`` for a ``power = exp(x)`` that is known. It keeps its digits for x near 0, as expm1 does."""

    def generate(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
        known, number = (Scalar(builder, value) for value in values)
        return where(absolute(number) < 0.34, exponentials.tail(number) + number, known - 1.0).value

    return x(x, x), generate


@intrinsic(prefer_literal=True)
def scratch(typing_context: Any, scalar: Any, size: Any) -> Any:
    """An array of ``size`` numbers, a constant, of a scalar's dtype. It lives until the kernel ends, and its content is
    undefined at first.
    """
    array_type = types.Array(scalar, 1, "C")

    def generate(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
        word, kind = ir.IntType(64), context.get_data_type(scalar)
        with builder.goto_entry_block():
            data = builder.alloca(kind, size=word(size.literal_value))
            data.align = 64
        array = context.make_array(array_type)(context, builder)
        item = word(context.get_abi_sizeof(kind))
        shape, strides = [word(size.literal_value)], [item]
        context.populate_array(array, data=data, shape=shape, strides=strides, itemsize=item, meminfo=None)
        return array._getvalue()

    return array_type(scalar, size), generate


@intrinsic
def part(typing_context: Any, array: Any, start: Any, size: Any) -> Any:
    """``array[start : start + size]`` for numbers that are not negative. A slice would look at the array's size, and so
    hide from LLVM that a loop over a row of constant size has a constant length.
    """

    def generate(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
        whole = context.make_array(array)(context, builder, values[0])
        item = ir.IntType(64)(context.get_abi_sizeof(context.get_data_type(array.dtype)))
        piece = context.make_array(array)(context, builder)
        data = builder.gep(whole.data, [values[1]])
        context.populate_array(piece, data=data, shape=[values[2]], strides=[item], itemsize=item, meminfo=None)
        return piece._getvalue()

    return array(array, types.int64, types.int64), generate


@intrinsic(prefer_literal=True)
def copy_vector(typing_context: Any, target: Any, at: Any, source: Any, start: Any, lanes: Any) -> Any:
    """Copy ``lanes`` numbers, a constant, that lie side by side."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = Vectors(context, builder, target, lanes.literal_value)
        to, of = vectors.data(target, values[0]), vectors.data(source, values[2])
        vectors.store(vectors.load(of, values[3]), to, values[1])
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, lanes), generate


@intrinsic
def split_vector(typing_context: Any, target: Any, even: Any, odd: Any, source: Any, start: Any) -> Any:
    """Copy 16 numbers that lie side by side: every second one to ``even``, the others to ``odd``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        vectors = Vectors(context, builder, target, 16)
        to, of = vectors.data(target, values[0]), vectors.data(source, values[3])
        read = vectors.load(of, values[4])
        for first in (0, 1):
            vectors.store(vectors.shuffle(read, read, range(first, 16, 2)), to, values[1 + first])
        return context.get_dummy_value()

    word = types.int64
    return types.void(target, word, word, source, word), generate
