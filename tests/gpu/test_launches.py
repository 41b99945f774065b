"""On the stand-in, training steps stay within their limits of launches, and do not wait for the GPU or copy to it."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks import launches
from tests.gpu.stand_in import needs_compiler, python


@cache
def counts() -> dict[str, launches.Counts | str]:
    return launches.measure()


@needs_compiler
@pytest.mark.parametrize("title", launches.CASES)
def test_counts_are_within_the_limits(title: str) -> None:
    wrong = launches.beyond(launches.CASES[title], counts()[title])
    assert not wrong, f"{title}: {wrong}"


def test_the_documentation_shows_the_same_limits() -> None:
    page = (launches.ROOT / "docs" / "explanation" / "benchmarks.md").read_text(encoding="utf-8")
    rows = page.partition("| what | launches, at most | PyTorch eager |")[2].partition("\n\n")[0].splitlines()[2:]
    documented = [tuple(cell.strip() for cell in row.split("|")[2:4]) for row in rows]
    limited = [case for case in launches.CASES.values() if case.limit is not None]
    assert documented == [(str(case.limit), "" if case.torch is None else str(case.torch)) for case in limited]


@needs_compiler
def test_counts_of_a_known_function() -> None:
    """The function makes two launches, one wait, and one copy."""
    code = """
import cupy
from benchmarks import launches

def known():
    a = cupy.asarray([1.0, 2.0])
    a += 1
    return float(a.sum())

print(launches._count(launches.Case(lambda: known)))
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Counts(launches=2, waits=1, copies=1, where=('h2d ")


def test_exceeded_limits_are_named() -> None:
    case = launches.Case(lambda: lambda: None, limit=3)
    assert launches.beyond(case, launches.Counts(3, 0, 0)) == ""
    assert launches.beyond(case, launches.Counts(4, 0, 0)) == "4 launches, at most 3 are allowed"
    assert (
        launches.beyond(case, launches.Counts(1, 2, 0, ("sync item a.py:1",) * 2))
        == "2 waits for the GPU; sync item a.py:1"
    )
    assert (
        launches.beyond(case, launches.Counts(1, 0, 1, ("h2d array a.py:2",)))
        == "1 copies from the host; h2d array a.py:2"
    )
    assert launches.beyond(case, "ValueError: no") == "ValueError: no"


@needs_compiler
def test_steps_can_be_timed_and_one_that_fails_does_not_stop_the_next() -> None:
    """The times mean nothing on the stand-in. The test shows that the program runs."""
    code = """
from benchmarks import cuda, mlp

def broken():
    raise RuntimeError("no\\nmemory")

cuda.CASES = {"broken": broken, "small": lambda: mlp.step([2, 4, 2], 4).functions("cuda")}
print(cuda.run(1))
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("on a stand-in for a GPU: CuPy ")
    assert any(line.startswith("broken ") and line.endswith("FAILED RuntimeError: no memory") for line in lines)
    assert any(line.startswith("small ") and "rustorch: queued " in line and " done " in line for line in lines)
    assert lines[-1] == "1"
