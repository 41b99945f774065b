"""Every compiled override against the plain version, in a process where arrays of all sizes are compiled.

The cases are small, so the threshold below which NumPy serves is taken away, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba import overrides

ROOT = Path(__file__).parents[3]


def test_all_cases_in_a_process_where_all_sizes_are_compiled() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--backend", "cpu"]
    done = subprocess.run(
        [*command, "tests/backends/test_kernels.py", "tests/ops/test_values.py"],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "RUSTORCH_FAST": "always"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_compiled_overrides_are_kernels_or_functions_of_the_standard() -> None:
    import array_api_compat.numpy as standard

    for name in overrides._all():
        if name not in KERNELS:
            attrgetter(name)(standard)  # such as "fft.fft"
