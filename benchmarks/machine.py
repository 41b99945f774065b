"""What a run of the benchmarks depends on: the processor, the threads and the versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from .steps import torch_on

#: The packages whose versions matter.
PACKAGES = ("numpy", "numba", "threadpoolctl", "torch", "jax", "autograd", "mygrad")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, and the widest vector instructions that it has, as far as the system tells."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = values.get("flags", "").split()
    widest = [name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags]
    return ", ".join([values.get("model name", platform.machine()), *widest[:1]])


def versions() -> str:
    """The versions of rustorch, Python and the packages that are installed."""
    import rustorch

    found = [f"rustorch {rustorch.__version__}", f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found += [f"without {name}"] if name in ("numba", "threadpoolctl") else []
    return ", ".join(found)


def threads() -> str:
    """The cores, and the threads that each library uses."""
    import rustorch

    found = [f"{cores()} cores", f"rustorch: {_threads(rustorch.get_num_threads())}"]
    if torch := torch_on("cpu"):
        found.append(f"torch: {_threads(torch.get_num_threads())}")
    fast = os.environ.get("RUSTORCH_FAST")
    return ", ".join(found + ([f"RUSTORCH_FAST={fast}"] if fast is not None else []))


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def header() -> str:
    """All of it, in three lines."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{versions()}\n{processor()}; {system}\n{threads()}"
