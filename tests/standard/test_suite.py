"""The Array API standard's own test suite, run on rustorch. The tests that fail are listed in known_failures.txt.

It needs a checkout of the suite:

git clone --recurse-submodules https://github.com/data-apis/array-api-tests
pip install -r array-api-tests/requirements.txt
ARRAY_API_TESTS=$PWD/array-api-tests pytest tests/standard/test_suite.py
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import rustorch
from tests.support.target import Target

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("known_failures.txt")


def known_failures() -> dict[str, dict[str, str]]:
    """The known failures: backend -> test -> cause."""
    found: dict[str, dict[str, str]] = {}
    backends: list[str] = []
    cause = ""
    for number, line in enumerate(LIST.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("["):
            names, _, cause = line[1:].partition("]")
            backends, cause = names.split(), cause.strip()
            assert backends and cause, f"line {number}: a section names its backends and a cause"
        elif line and not line.startswith("#"):
            for backend in backends:
                assert line not in found.setdefault(backend, {}), f"line {number}: {line} stands twice for {backend}"
                found[backend][line] = cause
    return found


def failures(report: Path) -> tuple[set[str], int]:
    """The tests that failed, as the list names them, and how many ran, from a report in JUnit's format."""
    failed, ran = set(), 0
    for case in ElementTree.parse(report).iter("testcase"):
        ran += case.find("skipped") is None
        if case.find("failure") is not None or case.find("error") is not None:
            _, file, *classes = case.attrib["classname"].split(".")
            failed.add("::".join([f"{file}.py", *classes, case.attrib["name"]]))
    return failed, ran


def test_the_list_names_every_failure_once_with_its_cause() -> None:
    known = known_failures()
    assert set(known) == {"cpu", "strict", "torch"}
    for tests in known.values():
        for test in tests:
            file, _, name = test.partition("::")
            assert file.startswith("test_") and file.endswith(".py") and name, test


def test_failures_of_the_standards_suite_are_known(backend: Target, tmp_path: Path) -> None:
    checkout = os.environ.get("ARRAY_API_TESTS")
    if not checkout:
        pytest.skip("ARRAY_API_TESTS names no checkout of https://github.com/data-apis/array-api-tests")
    known = known_failures()
    if backend.device not in known:
        pytest.skip(f"no list of what fails on {backend.device!r} beneath rustorch")
    report = tmp_path / "report.xml"
    # derandomized: the same examples in every run
    command = [
        sys.executable,
        "-m",
        "pytest",
        "array_api_tests",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        f"--junit-xml={report}",
        "--max-examples=15",
        "--derandomize",
        "--disable-deadline",
    ]
    module = f"exec('import rustorch as xp; xp.set_default_device(\"{backend.device}\")')"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command,
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
        env={**os.environ, "ARRAY_API_TESTS_MODULE": module, "PYTHONPATH": path},
    )
    output = (done.stdout + done.stderr)[-20000:]
    assert done.returncode in (0, 1), output
    failed, ran = failures(report)
    assert ran > 1000, output
    unknown = failed - set(known[backend.device])
    assert not unknown, "\n".join([output, "not in known_failures.txt:", *sorted(unknown)])


def test_can_cast_follows_the_table_of_promotions() -> None:
    """The suite's own test without its mistake (see known_failures.txt)."""
    dtypes = [getattr(rustorch, name) for name in rustorch.__array_namespace_info__().dtypes()]
    assert len(dtypes) == 13
    for one, two in itertools.product(dtypes, repeat=2):
        try:
            target = rustorch.result_type(one, two)
        except TypeError:  # the standard does not promote these kinds
            assert not rustorch.can_cast(one, two)
            continue
        assert rustorch.can_cast(one, target) and rustorch.can_cast(two, target)
        assert rustorch.can_cast(one, two) == (target == two)
