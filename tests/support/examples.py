"""Runs the programs of docs/examples, in a new process or as modules."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "examples"


def command(name: str, *arguments: object) -> list[str]:
    """The command line of a program."""
    return [sys.executable, str(FOLDER / name), *map(str, arguments)]


def environment() -> dict[str, str]:
    """Environment variables with this checkout's rustorch and without a display."""
    variables = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    return {**variables, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [variables.get("PYTHONPATH")])])}


def run(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a program as a user does: ``run("digits.py", "--epochs", 2)``."""
    return subprocess.run(command(name, *arguments), capture_output=True, text=True, env=environment(), timeout=300)


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a program as a module: ``module("digits", monkeypatch)``. It can import the other programs."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module(name)


def assert_refused(process: subprocess.CompletedProcess, message: str) -> None:
    """Assert that a program ended with status 2, with the message in the last line of stderr, and no output."""
    assert process.returncode == 2, process.stderr
    assert message in process.stderr.splitlines()[-1], process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


def assert_picture(file: Path) -> None:
    """Assert that a file is a PNG picture."""
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
