"""CUDA sources, compiled by the system's C++ compiler: see ``cuda_on_host.h`` for what stands around them."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HEADER = Path(__file__).with_name("cuda_on_host.h")
#: The compiler, or None where there is none.
COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
#: No contraction to fused multiply-adds: the same numbers on every machine. No checks of jumps: they go from stack to
#: stack.
FLAGS = ("-std=c++20", "-O1", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-w", "-shared", "-fPIC")

_FUNCTION = re.compile(r"(?:__launch_bounds__\((\d+)\)\s*)?__global__\s+(?:__launch_bounds__\((\d+)\)\s*)?void\s+(\w+)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class CompileException(Exception):
    """A source that the compiler does not take."""


@functools.cache
def cache() -> Path:
    """Where compiled libraries are kept: ``CUPY_STAND_IN_CACHE``, or a folder of this user's own among the temporary
    ones.
    """
    given = os.environ.get("CUPY_STAND_IN_CACHE")
    folder = Path(given) if given else Path(tempfile.gettempdir(), f"cupy_stand_in_{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else: set CUPY_STAND_IN_CACHE to a folder of your own")
    return folder


@functools.cache
def library(text: str) -> ctypes.PyDLL:
    """A C++ source as a library; it is compiled once for all processes."""
    if COMPILER is None:
        raise CompileException("CuPy's stand-in needs a C++ compiler (c++, g++ or clang++, or CXX), and there is none")
    key = "\n".join([COMPILER, platform.machine(), *FLAGS, HEADER.read_text(), text])
    file = cache() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
    if not file.exists():
        # in a folder of its own, then put in its place in one step: other processes compile the same sources at the
        # same time
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            source, made = Path(folder, "source.cpp"), Path(folder, "source.so")
            source.write_text(text)
            done = subprocess.run(
                [COMPILER, *FLAGS, str(source), "-o", str(made)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CompileException(f"{done.stderr}\n{text}")
            os.replace(made, file)
    return ctypes.PyDLL(
        str(file)
    )  # it holds the interpreter's lock: one launch at a time, for there is one set of threads


def functions(source: str) -> dict[str, int]:
    """The ``__global__`` functions of a CUDA source, and the most threads that a block of each may have."""
    found = _FUNCTION.findall(_COMMENT.sub("", source))
    return {name: int(before or after or 1024) for before, after, name in found}


@functools.cache
def compiled(source: str) -> ctypes.PyDLL:
    """A CUDA source, each ``__global__`` function ``f`` of which is to be called as ``run_f``."""
    barriers = "true" if "__syncthreads" in source else "false"
    entries = [f"ENTRY({name}, {barriers})" for name in functions(source)]
    return library("\n".join([f'#include "{HEADER}"', source, *entries, ""]))
