"""What type checkers know of rustorch: a user's program in program.py, checked as strictly as mypy and pyright can."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

import rustorch

PROGRAM = Path(__file__).with_name("program.py")
#: The folder that holds the package which is tested.
SOURCE = Path(rustorch.__file__).parents[1]
#: Type checkers find an installed package by themselves, if it has its ``py.typed``. They are told where a checkout is.
INSTALLED = SOURCE in {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}


def _pyright() -> str | None:
    """The command of pyright, or of basedpyright, which brings its own Node.js."""
    folders = [sysconfig.get_path("scripts"), os.environ.get("PATH", "")]
    for name in ("pyright", "basedpyright"):
        if command := shutil.which(name, path=os.pathsep.join(folders)):
            return command
    return None


def _run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    return subprocess.run(
        command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_program_runs(tmp_path: Path) -> None:
    done = _run([sys.executable, str(PROGRAM)], tmp_path, PYTHONPATH=str(SOURCE))
    assert done.returncode == 0, done.stderr


def test_mypy_knows_the_types_of_a_users_program(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    cache = getattr(request.config, "cache", None)
    folder = tmp_path / "cache" if cache is None else cache.mkdir("mypy")
    shutil.copy(PROGRAM, tmp_path)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={folder}"]
    path = {} if INSTALLED else {"MYPYPATH": str(SOURCE)}
    done = _run([*command, "--no-error-summary", PROGRAM.name], tmp_path, **path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_knows_the_types_of_a_users_program(tmp_path: Path) -> None:
    pyright = _pyright()
    if pyright is None:
        pytest.skip("neither pyright nor basedpyright is installed")
    shutil.copy(PROGRAM, tmp_path)
    settings = {"typeCheckingMode": "strict", "extraPaths": [] if INSTALLED else [str(SOURCE)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = _run([pyright, "--outputjson", "--pythonpath", sys.executable, PROGRAM.name], tmp_path)
    report = json.loads(done.stdout)
    found = [
        f"{PROGRAM.name}:{entry['range']['start']['line'] + 1}: {entry['message']}"
        for entry in report["generalDiagnostics"]
        if entry["severity"] == "error"
    ]
    assert not found, "\n".join(found)
    assert report["summary"]["filesAnalyzed"] == 1, report
