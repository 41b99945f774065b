"""``python -m rustorch``: print the versions, the usable devices, and why the other devices are not usable."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from . import __version__, backends


def main() -> None:
    """Print the versions, and a line for each device."""
    print(f"rustorch {__version__}, Python {platform.python_version()} on {platform.platform()}")
    for package in ("numpy", "array-api-compat"):
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            print(f"{package} (no metadata)")
    print()
    for device, state in backends.status():
        print(f"{device:8}{state}")


if __name__ == "__main__":
    main()
