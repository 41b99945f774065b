"""Compile the body of a kernel to machine code with Numba. This is the only module here that imports Numba, and
`mathematics`; a process whose kernels are all in the cache imports neither.

The result is an object file with one function, ``void (void*, void*, int64* arguments, int64 start, int64 stop)``. It
takes no lock of the interpreter and calls nothing of Python's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

#: A size beyond every array's: bodies slice the arrays they get, and never ask for their sizes.
_ENDLESS = 1 << 60
SCALARS = {
    "f4": types.float32, "f8": types.float64, "i4": types.int32, "i8": types.int64, "u1": types.uint8,
    "u4": types.uint32, "u8": types.uint64,
}  # fmt: skip


@intrinsic
def _array(typing_context: Any, arguments: Any, place: Any, offset: Any, scalar: Any) -> Any:
    """The array whose address stands at a place of the arguments: the pointer at ``offset`` leads to its elements."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        base, place, offset_, _ = values
        address = builder.load(builder.gep(base, [place]))
        return array_at(context, builder, scalar.dtype, address, offset_)

    return types.Array(scalar.dtype, 1, "C")(arguments, place, offset, scalar), generate


def array_at(context: Any, builder: Any, scalar: Any, address: Any, offset: Any) -> Any:
    """The array object at an address, as a kernel sees it: elements without an end. The address 0 is that of None."""
    word = ir.IntType(64)
    is_none = builder.icmp_signed("==", address, word(0))
    with builder.goto_entry_block():  # not in a loop, where it would take more of the stack each time
        somewhere = builder.alloca(word)
    field = builder.select(is_none, somewhere, builder.inttoptr(builder.add(address, offset), word.as_pointer()))
    data = builder.load(field)
    array = context.make_array(types.Array(scalar, 1, "C"))(context, builder)
    kind = context.get_data_type(scalar)
    size = word(context.get_abi_sizeof(kind))
    pointer = builder.inttoptr(data, kind.as_pointer())
    # An address that was read could be that of a table of constants, for all that LLVM knows: then no loop that writes
    # here and looks up numbers there would work on vectors. So the address passes through a piece of assembly without
    # instructions. LLVM treats it as a call, and knows that no call returns the address of such a table.
    returned = ir.FunctionType(pointer.type, [pointer.type])
    context.populate_array(
        array,
        data=builder.asm(returned, "", "=r,0", [pointer], False),
        shape=[word(_ENDLESS)],
        strides=[size],
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


@intrinsic
def array_of(typing_context: Any, address: Any, offset: Any, scalar: Any) -> Any:
    """The array object at an address, for bodies that read addresses from a table. The offset is the global OFFSET."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return array_at(context, builder, scalar.dtype, values[0], values[1])

    return types.Array(scalar.dtype, 1, "C")(types.int64, types.int64, scalar), generate


@intrinsic
def _double(typing_context: Any, bits: Any) -> Any:
    """The float64 with these bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.DoubleType())

    return types.float64(bits), generate


def options(flags: frozenset[str]) -> dict[str, Any]:
    """How Numba compiles: without Python's exceptions, objects and counts of references."""
    return {
        "error_model": "numpy", "fastmath": set(flags), "no_cpython_wrapper": True, "no_cfunc_wrapper": True,
        "_nrt": False,
    }  # fmt: skip


def _entry(body: Callable[..., None], tokens: Sequence[str], dtype: str, offset: int, settings: Any) -> Any:
    """A function of the arguments' address that calls the body with typed arguments."""
    known: dict[str, Any] = {"array": _array, "double": _double}
    texts = []
    for i, token in enumerate(tokens):
        scalar = token.removesuffix("[]").replace("T", dtype)
        known[f"S{i}"] = SCALARS.get(scalar)
        if token.endswith("[]"):
            texts.append(f"array(arguments, {i}, {offset}, S{i})")
        elif token == "int":
            texts.append(f"arguments[{i}]")
        else:
            texts.append(f"S{i}(double(arguments[{i}]))")
    # The body becomes part of the entry, so that LLVM sees it once. Numba cannot do that for more than 30 arguments,
    # which Python passes in a list.
    inline = "always" if len(tokens) + 2 <= 30 else "never"
    known["body"] = numba.njit(inline=inline, **settings)(body)
    source = f"def entry(arguments, start, stop):\n    body({', '.join([*texts, 'start', 'stop'])})\n"
    exec(source, known)  # the text above: no part of it comes from outside
    return known["entry"]


def compile_object(
    body: Callable[..., None], tokens: Sequence[str], dtype: str, name: str, offset: int, flags: frozenset[str]
) -> bytes:
    """An object file with the kernel as a function of this name.

    Parameters
    ----------
    body : callable
        ``body(*arguments, start, stop)``, in the part of Python that Numba compiles.
    tokens : sequence of str
        The type of each argument, as in `kernel.Kernel`.
    dtype : {"f4", "f8"}
        What T stands for.
    name : str
        The name of the function in the object file.
    offset : int
        Where an array object holds the address of its elements, in bytes.
    flags : frozenset of str
        LLVM's flags for operations on floating-point numbers.

    Raises
    ------
    Exception
        If Numba cannot compile the body, or if the code would need a function that is not in it.
    """
    entry = _entry(body, tokens, dtype, offset, options(flags))
    signature = types.void(types.CPointer(types.int64), types.int64, types.int64)
    compiled = numba.njit([signature], **options(flags))(entry)
    module = llvm.parse_assembly(compiled.inspect_llvm(compiled.signatures[0]))
    for function in module.functions:
        if function.is_declaration:
            _check_symbol(function.name)
        elif function.linkage == llvm.Linkage.external:
            function.name = name
        else:
            function.linkage = "internal"
    module.verify()
    data: bytes = target_machine().emit_object(module)
    return data


#: Functions of the C library that code may call: they are in every process. Others would end the process at loading.
_ALLOWED = frozenset({
    "memset", "memcpy", "memmove",
    *[f"{name}{suffix}" for suffix in ("", "f") for name in (
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign", "cos", "cosh", "exp",
        "exp2", "expm1", "fabs", "floor", "fma", "fmod", "hypot", "log", "log10", "log1p", "log2", "nextafter", "pow",
        "rint", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
    )],
})  # fmt: skip


def _check_symbol(name: str) -> None:
    if not name.startswith("llvm.") and name not in _ALLOWED:
        raise RuntimeError(f"the compiled kernel would call {name!r}, which not every process has")


def target_machine() -> Any:
    """What LLVM generates code for: this processor, with all its features."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )
