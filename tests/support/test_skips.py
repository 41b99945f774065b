"""The summary of skipped tests at the end of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import skips

REASONS = [
    "Skipped: jax: device 'jax' cannot be used: JAX is not installed: pip install jax (No module named 'jax')",
    "Skipped: strict: device 'strict' cannot be used: not installed: pip install array-api-strict",
    "Skipped: PyTorch is not installed to be asked",
    "Skipped: could not import 'torch': No module named 'torch'",
    "Skipped: cuda: device 'cuda' cannot be used: CuPy is not installed: pip install cupy-cuda13x",
    "Skipped: for the stand-in for CuPy alone: --stand-in",
    "Skipped: cpu: needs a second device",
]


def test_each_reason_counts_for_the_library_that_is_missing() -> None:
    counts = skips.counted(REASONS, skips.NEEDS)
    assert counts == {"JAX": 1, "array-api-strict": 1, "PyTorch": 2, "CuPy": 2, skips.OTHER: 1}


def test_a_library_that_is_installed_is_not_blamed() -> None:
    assert skips.counted(REASONS, []) == {skips.OTHER: len(REASONS)}


def test_the_summary_says_how_many_were_skipped_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skips, "find_spec", lambda module: None)
    lines = skips.summary(REASONS)
    assert lines[0].startswith(
        "7 tests were skipped, most of them because CuPy, PyTorch, JAX, array-api-strict are not"
    )
    assert "       2  PyTorch           pip install torch" in lines
    assert "       1  other reasons     pytest -rs lists them" in lines
    assert skips.summary([]) == []


def test_a_run_ends_with_the_summary(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    test = "tests/test_smoke.py::test_steps_of_the_optimizer_reduce_the_loss"
    code = "import sys; sys.modules['array_api_strict'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", "--backend", "strict", test]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert "1 tests were skipped" in done.stdout, done.stdout
