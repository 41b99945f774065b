"""All cases of all layers, one file a family, each with its ``CASES``."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tests.nn.case import Case

#: family -> its cases
FAMILIES: dict[str, list[Case]] = {
    found.name: import_module(f"{__name__}.{found.name}").CASES
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name)
}
#: (family, name of the case) -> case; a name that occurs again is an error
TABLE: dict[tuple[str, str], Case] = {(family, case.name): case for family, cases in FAMILIES.items() for case in cases}

_first: dict[str, tuple[str, str]] = {}
for _key, _case in TABLE.items():
    if _case.inputs is not None or _case.cls not in _first:
        _first.setdefault(_case.cls, _key)
#: The cases that run on every backend. The others run on "cpu".
EVERYWHERE: dict[tuple[str, str], Case] = {
    key: case
    for key, case in TABLE.items()
    if (key == _first[case.cls] if case.everywhere is None else case.everywhere)
}
