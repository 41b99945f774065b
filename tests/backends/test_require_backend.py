"""``--backend`` and ``--require-backend``: a run fails if a library that must be tested was not tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = "tests/test_smoke.py::test_steps_of_the_optimizer_reduce_the_loss"


def _pytest(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, TEST]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def test_only_the_chosen_backends_are_collected() -> None:
    code, text = _pytest("--backend", "cpu", "--require-backend", "cpu")
    assert code == 0, text
    assert "1 passed" in text
    assert "skipped" not in text


def test_a_run_fails_if_no_test_ran_on_a_required_backend() -> None:
    pytest.importorskip("array_api_strict")
    code, text = _pytest("--backend", "cpu", "--require-backend", "strict")
    assert code == 1, text
    assert "ERROR: --require-backend strict: it is usable, but no test ran on it" in text


def test_a_run_fails_if_a_required_backend_is_not_usable() -> None:
    blocked = "import sys; sys.modules['array_api_strict'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    command = [
        sys.executable,
        "-c",
        blocked,
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--backend",
        "strict",
        "--require-backend",
        "strict",
        TEST,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stdout
    assert "SKIPPED" in done.stdout
    assert (
        "--require-backend strict: device 'strict' cannot be used: not installed: pip install array-api-strict"
        in done.stdout
    )


def test_an_unknown_backend_is_refused() -> None:
    code, text = _pytest("--backend", "gpu")
    assert code == 4
    assert "invalid choice: 'gpu'" in text
