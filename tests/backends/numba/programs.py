"""Programs that run in a process of their own, with a cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def run(program: str, cache: Path | str, timeout: float = 120, **environment: str) -> str:
    """What a program prints. It has to end with status 0 and without a word on its standard error.

    Parameters
    ----------
    program : str
        Its text. It may use ``numpy``, the module ``kernel``, the array ``x``, and ``add_one(x)``, which is None where
        NumPy should serve.
    cache : path
        The folder for compiled kernels.
    timeout : float
        Seconds.
    **environment : str
        Variables of its environment.
    """
    settings = {**os.environ, "RUSTORCH_CACHE": str(cache), "RUSTORCH_NUM_THREADS": "2", **environment}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _START + textwrap.dedent(program)],
        capture_output=True, text=True, timeout=timeout, env=settings, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip()


_START = """
import numpy
from rustorch.backends.numba import kernel

def _add_one(x, out, start, stop):
    a = x[start:stop]
    b = out[start:stop]
    for i in range(b.size):
        b[i] = a[i] + T(1.0)

KERNEL = kernel.Kernel(_add_one, "T[] T[]")
x = numpy.arange(1 << 17, dtype="float32")

def add_one(x):
    launch = KERNEL.of(x.dtype, x.size)
    if launch is None:
        return None
    out = numpy.empty_like(x)
    launch(x.size, x.size, x, out)
    return out
"""
