"""The programs of docs/examples: in a process of their own, and as modules."""

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
    return [sys.executable, str(FOLDER / name), *map(str, arguments)]


def environment() -> dict[str, str]:
    """This checkout's rustorch, and no display."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])}


def run(name: str, *arguments: object) -> subprocess.CompletedProcess:
    """A program as a user runs it: ``run("digits.py", "--epochs", 2)``."""
    return subprocess.run(command(name, *arguments), capture_output=True, text=True, env=environment(), timeout=300)


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A program as a module: ``module("digits", monkeypatch)``. It finds the others beside it."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module(name)


def assert_refused(process: subprocess.CompletedProcess, message: str) -> None:
    """It ended with status 2 and one line that holds the message (after argparse's usage, where that found the
    mistake).
    """
    assert process.returncode == 2, process.stderr
    assert message in process.stderr.splitlines()[-1], process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


def assert_picture(file: Path) -> None:
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
