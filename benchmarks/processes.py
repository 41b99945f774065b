"""Starts new processes for what one process cannot compare: imports, memory, threads, first steps."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_IMPORT = """
import time
start = time.perf_counter()
import numpy
between = time.perf_counter()
import {module}
print([between - start, time.perf_counter() - between])
"""


def libraries() -> list[str]:
    """The libraries that are compared in processes of their own: rustorch, and PyTorch if it is installed."""
    return ["rustorch", "torch"] if importlib.util.find_spec("torch") else ["rustorch"]


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with other values of some variables. The packages of this checkout can be imported."""
    # keep the compiled .pyc files, as in an installed package
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, **(variables or {})}


def command(module: str, *arguments: object) -> list[str]:
    """The command line of a module's main program."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def _result(line: list[str], variables: Mapping[str, str] | None = None) -> Any:
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment(variables))
    if done.returncode:
        raise RuntimeError(f"{' '.join(line[1:])} failed with status {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def run(module: str, *arguments: object, variables: Mapping[str, str] | None = None) -> Any:
    """Run ``python -m module`` in a new process.

    Parameters
    ----------
    module : str
        A module with a main program. Its last line is its result as JSON.
    arguments
        The arguments of the program.
    variables : mapping, optional
        Environment variables.

    Returns
    -------
    Any
        The result.

    Raises
    ------
    RuntimeError
        If the program fails, with what it wrote.
    """
    return _result(command(module, *arguments), variables)


def import_time(rounds: int = 11) -> dict[str, float]:
    """Median seconds of an import, by package. The time of importing NumPy is not included, and has its own entry."""
    modules = [name for name in ("rustorch", "torch", "jax", "autograd", "mygrad") if importlib.util.find_spec(name)]
    times: dict[str, list[float]] = {name: [] for name in ["numpy", *modules]}
    for i in range(rounds + 1):
        for name in modules:
            numpy_seconds, seconds = _result([sys.executable, "-c", _IMPORT.format(module=name)])
            if i:  # the first import writes the .pyc files
                times[name].append(seconds)
                times["numpy"].append(numpy_seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
