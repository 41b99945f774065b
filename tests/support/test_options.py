"""The options ``--installed`` and ``--resume`` of the tests' own conftest.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import rustorch

ROOT = Path(__file__).parents[2]
TESTS = "tests/test_smoke.py"
ONE = f"{TESTS}::test_steps_of_the_optimizer_reduce_the_loss"


def _pytest(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--backend", "cpu", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def test_resume_leaves_out_tests_that_have_passed(tmp_path: Path) -> None:
    file = tmp_path / "passed.txt"
    code, text = _pytest("--resume", file, ONE)
    assert code == 0, text
    assert "1 passed" in text
    assert file.read_text(encoding="utf-8") == f"{ONE}[cpu]\n"
    code, text = _pytest("--resume", file, TESTS)
    assert code == 0, text
    assert "1 deselected" in text
    assert len(set(file.read_text(encoding="utf-8").splitlines())) > 1


def test_installed_refuses_the_sources_beside_the_tests() -> None:
    code, text = _pytest("--installed", ONE)
    if Path(rustorch.__file__).parents[1] == ROOT:
        assert code == 4, text
        assert f"--installed: rustorch is imported from {ROOT}, beside the tests" in text
    else:
        assert code == 0, text
