"""Layers know nothing of the array libraries: what nn and ops/network import from backends."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rustorch

_ROOT = Path(rustorch.__file__).parent
_FILES = sorted([*(_ROOT / "nn").rglob("*.py"), *(_ROOT / "ops" / "network").rglob("*.py")])
#: What may be imported from rustorch.backends: the dtypes, and the names of types.
_ALLOWED = {"dtypes", "Array", "Namespace"}
#: Libraries whose arrays may be behind a Variable.
_LIBRARIES = {"numpy", "cupy", "jax", "torch", "array_api_strict", "array_api_compat", "numba", "scipy"}


def _imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """The full names of everything that a module of a package imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            lead = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*lead, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _imports_of(path: Path) -> list[str]:
    package = ["rustorch", *path.parent.relative_to(_ROOT).parts]
    return list(_imports(ast.parse(path.read_text(encoding="utf-8")), package))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.relative_to(_ROOT).as_posix())
def test_layers_import_dtypes_and_types_alone_from_backends(path: Path) -> None:
    names = [name for name in _imports_of(path) if name.startswith("rustorch.backends")]
    allowed = {f"rustorch.backends.{name}" for name in _ALLOWED}
    forbidden = [name for name in names if name not in allowed and not name.startswith("rustorch.backends.dtypes.")]
    assert not forbidden, f"use xp, or a function of ops, instead of {', '.join(forbidden)}"


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.relative_to(_ROOT).as_posix())
def test_layers_import_no_array_library(path: Path) -> None:
    assert not {name.partition(".")[0] for name in _imports_of(path)} & _LIBRARIES


def test_imports_are_read_from_every_form_of_statement() -> None:
    source = "import numpy.linalg as la\nfrom ...backends import get\ndef f():\n    from ...backends.base import info\n"
    names = list(_imports(ast.parse(source), ["rustorch", "nn", "functional"]))
    assert names == ["numpy.linalg", "rustorch.backends.get", "rustorch.backends.base.info"]
