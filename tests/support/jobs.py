"""Programs that tests start on several ranks with mpiexec."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def mpiexec() -> str:
    """The path of mpiexec. The test is skipped where it or mpi4py is missing."""
    if find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("there is no mpiexec: it comes with an MPI such as mpich")
    return found


def environment(**changes: str) -> dict[str, str]:
    """The environment of a job: one thread a rank, the tests to import, and nothing of a launcher of this process."""
    launchers = ("PMI_", "PMIX_", "MPI_", "OMPI_", "SLURM_", "HYDRA_", "MPIR_")
    torchrun = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "RUSTORCH_DISTRIBUTED_DEBUG")
    env = {key: value for key, value in os.environ.items() if not key.startswith(launchers) and key not in torchrun}
    env.pop("PYTHONUNBUFFERED", None)  # else the parts of a line are written one by one, and those of two ranks mix
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH", "")]))
    return {**env, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **changes}


def command(program: str | Path, ranks: int, *arguments: str) -> list[str]:
    """The command line that runs a program on several ranks. A program that is no path is source text."""
    source = ["-c", program] if isinstance(program, str) else ["-m", "mpi4py", str(program)]
    return [mpiexec(), "-n", str(ranks), sys.executable, *source, *arguments]


def run(
    program: str | Path, ranks: int, *arguments: str, timeout: float = 60, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program on several ranks, and return its exit status and what it wrote.

    Parameters
    ----------
    program : Path or str
        A file, started with ``python -m mpi4py``; or source text, started with ``python -c``.
    ranks : int
    *arguments : str
        What the program finds in ``sys.argv``.
    timeout : float
        Seconds after which the test fails.
    env : dict of str, optional
        Environment variables to add.
    """
    process = start(program, ranks, *arguments, env=env)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill(process)
        out, err = process.communicate()
        pytest.fail(f"the job took more than {timeout:g} s; it wrote\n{out}\n{err}")
    finally:
        kill(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(program: str | Path, ranks: int, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a program on several ranks. The caller ends it with `kill`."""
    return subprocess.Popen(
        command(program, ranks, *arguments),
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """End a job and all its ranks."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            return
        if sent is signal.SIGTERM:
            time.sleep(0.1)
