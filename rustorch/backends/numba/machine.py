"""Machine code in memory: object files become addresses of functions. It needs llvmlite, and not Numba."""

from __future__ import annotations

import threading
from typing import Any

import llvmlite
import llvmlite.binding as llvm

_lock = threading.Lock()
_engine: Any = None
#: Objects and addresses must live as long as the process: threads may be in them at any time.
_kept: list[Any] = []


def processor() -> str:
    """What compiled code depends on besides its source: the processor, its features, and LLVM's version."""
    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()} {llvmlite.__version__}"


def load(data: bytes, name: str) -> int:
    """The address of the function ``name`` of an object file."""
    global _engine
    with _lock:
        if _engine is None:
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            machine = llvm.Target.from_default_triple().create_target_machine(opt=3, jit=True)
            _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        reference = llvm.ObjectFileRef.from_data(data)
        _engine.add_object_file(reference)
        _kept.append((data, reference))
        _engine.finalize_object()
        address: int = _engine.get_function_address(name)
    if not address:
        raise RuntimeError(f"the object file has no function {name!r}")
    return address
