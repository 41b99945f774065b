"""Arrays with negative strides, read-only, empty, 0-d, broadcast or in another byte order, moved to every device.

Each source device has a process of its own, because an abort in a library's C++ code would end the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest

import rustorch
from tests.support.target import Target

ROOT = Path(__file__).parents[2]
NEEDS = {"cpu": "numpy", "strict": "array_api_strict", "jax": "jax", "torch": "torch", "cuda": "cupy"}


def test_no_function_aborts_or_writes_into_read_only_memory(backend: Target) -> None:
    others = [device for device, library in NEEDS.items() if device != "cuda" and find_spec(library) is not None]
    targets = ["cpu", "cuda"] if backend.device == "cuda" else others
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.backends.unusual_arrays", backend.device, *targets],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.endswith("done\n"), (done.stdout[-200:], done.stderr[-2000:])
    assert done.returncode == 0


def test_reversed_arrays_are_copied_to_torch() -> None:
    pytest.importorskip("torch")
    array = numpy.arange(3.0)[::-1]
    x = rustorch.from_dlpack(array, device="torch")
    x[0] = 9.0
    assert (x.tolist(), array.tolist()) == ([9.0, 1.0, 0.0], [2.0, 1.0, 0.0])
    with pytest.raises(ValueError, match=r"from_dlpack: copy=False"):
        rustorch.from_dlpack(array, device="torch", copy=False)


def test_read_only_memory_is_not_changed() -> None:
    array = numpy.arange(3.0)
    array.flags.writeable = False
    for x in (
        rustorch.from_dlpack(array),
        rustorch.from_dlpack(array, copy=False),
        rustorch.asarray(array),
        rustorch.Variable(array),
    ):
        assert not x.data.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            x.data[0] = 7.0
        x[0] = 7.0  # this cannot be done in place, so x becomes a copy
        assert x.tolist() == [7.0, 1.0, 2.0]
        assert array.tolist() == [0.0, 1.0, 2.0]
