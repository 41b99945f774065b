"""Tests of ``.ci/gpu`` with steps that pass, fail and hang, and without a GPU. The steps are stubs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "gpu"

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("timeout")), reason="needs bash and GNU timeout"
)

#: A stub of the interpreter: it reports a GPU, and the programs that it runs do what is written here.
STUB = r"""#!/bin/bash
case "$*" in
    -) cat >/dev/null; echo "a card" ;;
    -c*) exit 0 ;;
    *tests.gpu.smoke*) echo "ok    first array" ;;
    *benchmarks*) sleep 77 & echo "$!" >"$FOLDER/child"; echo "begun"; wait ;;
    *test_kernels.py) printf '<%s>\n' "$@"; echo "3 passed" ;;
    *) echo "FAILED tests/a.py::b - no"; echo "1 failed, 2 passed"; exit 1 ;;
esac
"""


#: A stub of mpiexec.
MPIEXEC = r"""#!/bin/bash
echo "$1 $2"
shift 2
"$@" tests/backends/test_kernels.py
"""


def run(folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    stub = folder / "an interpreter"
    for path, text in ((stub, STUB), (folder / "mpiexec", MPIEXEC)):
        path.write_text(text)
        path.chmod(0o755)
    (folder / "tmp").mkdir(exist_ok=True)
    variables = {**os.environ, "PYTHON": str(stub), "FOLDER": str(folder), "TMPDIR": str(folder / "tmp"), **environment}
    variables.pop("CUPY_CACHE_DIR", None)
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT / "docs", env=variables, capture_output=True, text=True, timeout=100, check=False
    )


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_a_failing_step_does_not_stop_the_next_and_a_hanging_step_is_ended(tmp_path: Path) -> None:
    start = time.monotonic()
    done = run(tmp_path, "--limit", "benchmarks=1", tmp_path / "the output")
    assert done.returncode == 1, done.stderr
    assert time.monotonic() - start < 60
    summary = [line.split("  ")[0] for line in done.stdout.partition("== summary")[2].splitlines()[1:6]]
    assert summary == ["smoke", "kernels", "benchmarks", "tests", "ranks"]
    words = done.stdout.partition("== summary")[2]
    expected = {"smoke": "ok", "kernels": "ok", "benchmarks": "timed out", "tests": "failed (1)", "ranks": "ok"}
    for name, word in expected.items():
        assert f"\n{name:12}{word:14}" in words
    assert words.splitlines()[-1] == f"logs: {tmp_path / 'the output'}"
    for text in ("a card", "ok    first array", "3 passed", "begun", "FAILED tests/a.py::b - no"):
        assert text in done.stdout
    # the output before the end is kept, and no process is left
    assert (tmp_path / "the output" / "benchmarks.txt").read_text() == "begun\n"
    assert not is_running(int((tmp_path / "child").read_text()))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_script_succeeds_if_all_steps_do(tmp_path: Path) -> None:
    done = run(tmp_path, "--steps", "kernels,smoke", "--kernels", tmp_path / "k" / "kernels.tar.gz")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("== kernels") < done.stdout.index("== smoke") < done.stdout.index("== summary")
    # without an output folder, the script makes one and names it
    folder = Path(done.stdout.splitlines()[-1].removeprefix("logs: "))
    assert sorted(file.name for file in folder.iterdir()) == ["kernels.txt", "smoke.txt"]
    words = (folder / "kernels.txt").read_text().splitlines()
    assert words[:3] == ["<-m>", "<pytest>", "<-q>"]
    assert "<no:cacheprovider>" in words and "<--require-backend>" in words
    assert (tmp_path / "k" / "kernels.tar.gz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "smoke,all"], "unknown step 'all'"),
        (["--steps", ""], "--steps names no step"),
        (["--limit", "smoke=soon"], "--limit takes NAME=SECONDS, not 'smoke=soon'"),
        (["--limit", "all=3"], "--limit takes NAME=SECONDS, not 'all=3'"),
        (["--steps"], "--steps needs a value"),
        (["--fast"], "unknown option --fast"),
        (["a", "b"], "one output folder, not 'a' and 'b'"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("cupy", "message"),
    [
        (
            r"raise ImportError('====\nlibcuda.so.1 is missing\n====')",
            "CuPy cannot be imported (libcuda.so.1 is missing)",
        ),
        (
            "import types, warnings; __version__ = '14.2.0'; warnings.warn('two CuPys')\n"
            "cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=lambda: 1 / 0))",
            "no GPU was found by CuPy 14.2.0: division by zero",
        ),
        (
            "import types; __version__ = '14.2.0'\n"
            "cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=lambda: 0))",
            "no GPU was found by CuPy 14.2.0: CUDA reports none",
        ),
    ],
)
def test_without_a_gpu_the_script_says_so_in_one_line(tmp_path: Path, cupy: str, message: str) -> None:
    import sys

    (tmp_path / "cupy.py").write_text(cupy)
    done = run(tmp_path, PYTHON=sys.executable, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
