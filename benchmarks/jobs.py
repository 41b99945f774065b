"""Starts a benchmark on several ranks by mpiexec, and reads what rank 0 prints."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def missing() -> str | None:
    """Why no job can be started here, or None."""
    if importlib.util.find_spec("mpi4py") is None:
        return "mpi4py is not installed: pip install 'rustorch[mpi]'"
    if mpiexec() is None:
        return "there is no mpiexec on the path: pip install 'rustorch[mpi]'"
    return None


def mpiexec() -> str | None:
    """The launcher: the one beside this Python, as pip installs it, or else the first one on the path."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def environment() -> dict[str, str]:
    """Environment variables that give each rank one thread, and this checkout's packages."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **threads, "PYTHONPATH": path}


def run(module: str, ranks: int, *arguments: object, timeout: float = 900) -> Any:
    """Run ``python -m module`` on several ranks.

    Parameters
    ----------
    module : str
        A module with a main program. Rank 0 prints its result as JSON in its last line.
    ranks : int
        How many processes.
    arguments
        The arguments of the program.
    timeout : float
        Seconds after which the job is ended.

    Returns
    -------
    Any
        The result.

    Raises
    ------
    RuntimeError
        If the job fails, with what it wrote.
    """
    command = [sys.executable, "-m", "mpi4py", "-m", module, *map(str, arguments)]
    launcher = mpiexec()
    assert launcher is not None, missing()
    done = subprocess.run(
        [launcher, "-n", str(ranks), *command],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise RuntimeError(f"{module} on {ranks} ranks failed with status {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
