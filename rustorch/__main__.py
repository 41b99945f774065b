"""``python -m rustorch``: versions, which devices can be used, and why the others can't."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from . import __version__, backends


def main() -> None:
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
