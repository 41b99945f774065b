"""Processes in which ``cupy`` is the stand-in, whatever is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from benchmarks.launches import ROOT, environment

COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(
    not COMPILER, reason="the stand-in for CuPy compiles CUDA sources: no C++ compiler is installed"
)


def python(*arguments: str) -> subprocess.CompletedProcess:
    """``python`` with these arguments, in the checkout's root."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
