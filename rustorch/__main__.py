"""``python -m rustorch``: print the versions, the usable devices, why the other devices are not usable, and how the CPU
computes.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from . import __version__, backends
from .backends.numba.overrides import report
from .backends.threads import get_num_threads


def main() -> None:
    """Print the versions, a line for each device, and two lines on the CPU."""
    print(f"rustorch {__version__}, Python {platform.python_version()} on {platform.platform()}")
    for package in ("numpy", "array-api-compat"):
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            print(f"{package} (no metadata)")
    print()
    for device, state in backends.status():
        print(f"{device:8}{state}")
    print()
    print(f"threads on cpu: {get_num_threads()}")
    print(f"compiled kernels on cpu: {report()}")


if __name__ == "__main__":
    main()
