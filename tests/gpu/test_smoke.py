"""Runs every check and probe of the smoke program on the stand-in for CuPy."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.launches import ROOT
from tests.gpu.stand_in import needs_compiler, python

#: Checks and probes that need a GPU.
NEEDS_GPU = ("dlpack", "host, ", "graph", "NCCL")


@needs_compiler
def test_every_check_is_ok_on_the_stand_in() -> None:
    done = python("-m", "tests.gpu.smoke")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[-1] == "all 21 checks are ok"
    for line in lines[:-1]:
        waiting = line[6:].startswith(NEEDS_GPU)
        assert line.startswith("--" if waiting else "ok"), line
        assert line.endswith("needs a GPU") == waiting, line
    assert len(lines) > 30
    assert done.stderr == ""


@needs_compiler
def test_a_failing_check_says_what_is_wrong_and_the_next_one_runs() -> None:
    code = """
import sys, warnings
from tests.gpu import checks, probes, smoke

def broken():
    raise ValueError("one\\ntwo")

checks.CHECKS = {"first": broken, "second": lambda: warnings.warn("old"), "third": lambda: 3}
probes.probes = lambda: {"question": broken}
sys.exit(smoke.main())
"""
    done = python("-c", code)
    first, second, third, question, end = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert first.startswith("WRONG first ")
    assert "ValueError: one two   [<string>:" in first
    assert second.startswith("ok    second ")
    assert second.endswith("(warned: UserWarning: old)")
    assert third.startswith("ok    third ")
    assert third.endswith(" 3")
    assert question.startswith("no    question ")
    assert end == "1 of 3 checks failed"


def test_without_cupy_the_program_says_so_in_one_line() -> None:
    code = "import sys, runpy; sys.modules['cupy'] = None; runpy.run_module('tests.gpu.smoke', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("nothing could be checked: ")
    assert len(done.stderr.splitlines()) == 1
