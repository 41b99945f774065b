"""The functions that a kernel is made of: its body, and what that calls by name."""

from __future__ import annotations

import builtins
from functools import cache
from types import CodeType, FunctionType
from typing import Any


def fingerprint(value: Any, names: dict[str, Any]) -> str:
    """Text that changes with what a function computes: its code, and the constants and functions it uses."""
    if isinstance(value, FunctionType):
        return fingerprint(value.__code__, value.__globals__)
    if isinstance(value, CodeType):
        inner = [fingerprint(c, names) for c in value.co_consts]
        used = [fingerprint(names[n], names) if n in names else n for n in value.co_names]
        return f"({value.co_code.hex()} {value.co_varnames} {inner} {used})"
    if isinstance(value, (frozenset, set)):
        return repr(sorted(map(repr, value)))
    if isinstance(value, (int, float, bool, str, bytes, tuple, type(None))):
        return repr(value)
    return type(value).__name__


def _offered(name: str) -> Any:
    """A function that a body may call by name, or None."""
    from . import atomics, butterflies, compiler, elimination, mathematics, reductions, tile

    for module in (atomics, butterflies, compiler, elimination, reductions, tile, mathematics):
        found = vars(module).get(name)
        if getattr(found, "__module__", None) == module.__name__:  # and not what the module itself imports
            return found
    return None


@cache
def _jitted(function: FunctionType, flags: frozenset[str], dtype: str, offset: int) -> Any:
    """A helper of a body, for Numba."""
    import numba

    from . import compiler

    return numba.njit(**compiler.options(flags))(complete(function, flags, dtype, offset))


def complete(function: FunctionType, flags: frozenset[str], dtype: str, offset: int) -> FunctionType:
    """The function with everything it names: mathematics, compiled versions of its module's own helpers, and T."""
    import dis

    from . import compiler

    names = {**function.__globals__, "T": compiler.SCALARS[dtype], "OFFSET": offset}
    for name in {line.argval for line in dis.get_instructions(function) if line.opname == "LOAD_GLOBAL"}:
        if isinstance(names.get(name), FunctionType):
            names[name] = _jitted(names[name], flags, dtype, offset)
        elif name not in names and (name == "pow" or not hasattr(builtins, name)):
            names[name] = _offered(name)
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)
