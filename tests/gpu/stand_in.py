"""Runs Python with the stand-in as ``cupy``, also where the real CuPy is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from benchmarks.launches import ROOT, environment

COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(
    not COMPILER, reason="the stand-in for CuPy needs a C++ compiler, and none is installed"
)


def python(*arguments: str) -> subprocess.CompletedProcess:
    """Run ``python`` with these arguments in the checkout's root folder."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
