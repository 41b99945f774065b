"""Operations that several threads may make on one integer of an array, and calls of compiled code by its address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)


def _pointer(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, values[0])
    return builder.gep(array.data, [values[1]])


@intrinsic
def atomic_load(typing_context: Any, words: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load_atomic(_pointer(context, builder, signature, values), "seq_cst", 8)

    return types.int64(words, types.int64), generate


@intrinsic
def atomic_store(typing_context: Any, words: Any, place: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store_atomic(values[2], _pointer(context, builder, signature, values), "seq_cst", 8)
        return context.get_dummy_value()

    return types.none(words, types.int64, types.int64), generate


@intrinsic
def atomic_add(typing_context: Any, words: Any, place: Any, value: Any) -> Any:
    """Add to the integer, and return what it was before."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(context, builder, signature, values), values[2], "seq_cst")

    return types.int64(words, types.int64, types.int64), generate


@intrinsic
def atomic_exchange(typing_context: Any, words: Any, place: Any, value: Any) -> Any:
    """Write the integer, and return what it was before."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("xchg", _pointer(context, builder, signature, values), values[2], "seq_cst")

    return types.int64(words, types.int64, types.int64), generate


@intrinsic
def call_kernel(typing_context: Any, address: Any, words: Any, arguments: Any, start: Any, stop: Any) -> Any:
    """Call a compiled kernel; its arguments begin at a place of ``words``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.IntType(32), [byte, byte, _WORD.as_pointer(), _WORD, _WORD]).as_pointer()
        array = context.make_array(signature.args[1])(context, builder, values[1])
        scratch = builder.alloca(_WORD, size=_WORD(4))
        first = builder.bitcast(scratch, byte)
        second = builder.bitcast(builder.gep(scratch, [_WORD(2)]), byte)
        pointer = builder.gep(array.data, [values[2]])
        builder.call(builder.inttoptr(values[0], function), [first, second, pointer, values[3], values[4]])
        return context.get_dummy_value()

    return types.none(types.int64, words, types.int64, types.int64, types.int64), generate


@intrinsic
def call_bare(typing_context: Any, address: Any) -> Any:
    """Call a function of the C library that takes nothing."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        function = ir.FunctionType(ir.IntType(32), []).as_pointer()
        builder.call(builder.inttoptr(values[0], function), [])
        return context.get_dummy_value()

    return types.none(types.int64), generate
