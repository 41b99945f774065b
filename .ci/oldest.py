"""Print the oldest versions that a pyproject.toml allows, as requirements for pip: ``python oldest.py pyproject.toml``.

"numpy>=2" becomes "numpy==2.0.*": the newest patch of the oldest minor version.
"""

import re
import sys
import tomllib
from pathlib import Path

#: The extras that the tests use.
EXTRAS = ("threads", "examples", "test", "backends", "guests")

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
groups = [project["dependencies"], *(project["optional-dependencies"][name] for name in EXTRAS)]
oldest: dict[str, tuple[int, ...]] = {}
for requirement in (entry for group in groups for entry in group):
    found = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
    if found:  # others are extras of rustorch itself
        name, version = found[1], tuple(map(int, found[2].split(".")))
        oldest[name] = max(version, oldest.get(name, ()))
for name, version in sorted(oldest.items()):
    numbers = version if len(version) > 1 else (*version, 0)
    print(f"{name}=={'.'.join(map(str, numbers))}.*")
