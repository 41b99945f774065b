"""The files of rustorch/ops import one another in one direction: no import stands inside a function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rustorch.ops

FOLDER = Path(rustorch.ops.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))


def local_imports(source: str) -> list[str]:
    """The functions of a source text that import something, as "name (line)"."""
    return [
        f"{function.name} ({node.lineno})"
        for function in ast.walk(ast.parse(source))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_functions_import_nothing(path: Path) -> None:
    assert local_imports(path.read_text(encoding="utf-8")) == []


def test_a_local_import_is_found() -> None:
    assert local_imports("import a\ndef f():\n    from b import c\n") == ["f (3)"]
    assert len(FILES) > 25
