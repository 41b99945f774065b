"""Compiles CUDA sources with the system's C++ compiler, together with ``cuda_on_host.h``."""

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
#: The compiler, or None if none is installed.
COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
#: No fused multiply-adds, so that every machine computes the same numbers. No checks of longjmp, which here jumps from
#: stack to stack.
FLAGS = ("-std=c++20", "-O1", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-w", "-shared", "-fPIC")

_FUNCTION = re.compile(r"(?:__launch_bounds__\((\d+)\)\s*)?__global__\s+(?:__launch_bounds__\((\d+)\)\s*)?void\s+(\w+)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class CompileException(Exception):
    """The compiler refuses a source."""


@functools.cache
def cache() -> Path:
    """The folder of compiled libraries: ``CUPY_STAND_IN_CACHE``, or a folder of this user in the temporary folder."""
    given = os.environ.get("CUPY_STAND_IN_CACHE")
    folder = Path(given) if given else Path(tempfile.gettempdir(), f"cupy_stand_in_{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user: set CUPY_STAND_IN_CACHE to one of your folders")
    return folder


@functools.cache
def library(text: str) -> ctypes.PyDLL:
    """A C++ source as a library. It is compiled once for all processes."""
    if COMPILER is None:
        raise CompileException("CuPy's stand-in needs a C++ compiler: install c++, g++ or clang++, or set CXX")
    key = "\n".join([COMPILER, platform.machine(), *FLAGS, HEADER.read_text(), text])
    file = cache() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
    if not file.exists():
        # Compile in a new folder, then move the library in one step: other processes may compile the same source at the
        # same time.
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            source, made = Path(folder, "source.cpp"), Path(folder, "source.so")
            source.write_text(text)
            done = subprocess.run(
                [COMPILER, *FLAGS, str(source), "-o", str(made)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise CompileException(f"{done.stderr}\n{text}")
            os.replace(made, file)
    # PyDLL keeps the interpreter's lock, so that one launch runs at a time: they share one set of threads
    return ctypes.PyDLL(str(file))


def functions(source: str) -> dict[str, int]:
    """The ``__global__`` functions of a CUDA source, with the most threads that a block of each may have."""
    matches = _FUNCTION.findall(_COMMENT.sub("", source))
    return {name: int(before or after or 1024) for before, after, name in matches}


@functools.cache
def compiled(source: str) -> ctypes.PyDLL:
    """A CUDA source as a library. It has a function ``run_f`` for each ``__global__`` function ``f``."""
    barriers = "true" if "__syncthreads" in source else "false"
    entries = [f"ENTRY({name}, {barriers})" for name in functions(source)]
    return library("\n".join([f'#include "{HEADER}"', source, *entries, ""]))
