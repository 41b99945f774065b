"""What ``import rustorch`` imports, and the report of ``python -m rustorch``; each in a new interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOREIGN = (
    "torch", "jax", "jaxlib", "cupy", "cupyx", "scipy", "array_api_strict", "array_api_compat", "matplotlib", "sklearn",
    "pandas", "tqdm",
)  # fmt: skip


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_and_training_on_the_cpu_imports_no_other_library() -> None:
    script = (
        "import sys, rustorch as rt\n"
        "w = rt.tensor([[1.0, 2.0]], requires_grad=True)\n"
        "loss = rt.square(rt.tanh(w @ rt.ones((2, 1)) - 1)).mean()\n"
        "loss.backward()\n"
        f"print(sorted(name for name in {FOREIGN!r} if name in sys.modules))\n"
    )
    assert _run("-c", script).strip() == "[]"


def test_a_library_is_imported_when_its_device_is_named() -> None:
    pytest.importorskip("array_api_strict")
    script = (
        "import sys, rustorch as rt\n"
        "assert 'array_api_strict' not in sys.modules\n"
        "rt.zeros(2, device='strict')\n"
        "print('array_api_strict' in sys.modules, 'jax' in sys.modules, 'torch' in sys.modules)\n"
    )
    assert _run("-c", script).split() == ["True", "False", "False"]


def test_the_report_has_a_line_for_each_device() -> None:
    lines = _run("-m", "rustorch").splitlines()
    assert lines[0].startswith("rustorch ")
    for device in ("cpu", "cuda", "strict", "jax", "torch"):
        (line,) = [line for line in lines if line.split()[:1] == [device]]
        assert "usable: " in line
