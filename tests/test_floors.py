"""The floors of the package: each part imports only the parts below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rustorch

ROOT = Path(rustorch.__file__).parent
NAMES = [file.relative_to(ROOT).as_posix() for file in sorted(ROOT.rglob("*.py"))]

#: The parts of the package, from the bottom to the top. A part imports only parts that stand before it.
FLOORS = (
    "backends", "typing", "rustorch_names", "pytree", "autograd", "ops", "variable", "fusion", "cuda", "random",
    "distributed", "serialization", "nn", "optim", "data", "func", "linalg", "fft", "__init__", "__main__",
)  # fmt: skip
#: Array libraries: files of backends/ alone import them.
LIBRARIES = {"numpy", "cupy", "cupyx", "torch", "jax", "jaxlib", "array_api_strict", "array_api_compat", "scipy"}
#: What layers may import of backends: the dtypes, and the names of types.
KNOWN_TO_LAYERS = {"dtypes", "Array", "Namespace"}


def statements(tree: ast.AST) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import that runs, and whether it stands in a function. Imports for type checkers alone are left out."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, local = stack.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, local
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            stack.extend((child, local) for child in node.orelse)
        else:
            inner = local or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            stack.extend((child, inner) for child in ast.iter_child_nodes(node))


def names_of(node: ast.Import | ast.ImportFrom, package: list[str]) -> set[str]:
    """The full names of what a statement in a package imports: modules, and ``module.name`` for names from one."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    base = package[: len(package) - node.level + 1] if node.level else []
    start = ".".join([*base, *([node.module] if node.module else [])])
    return {f"{start}.{alias.name}" for alias in node.names}


def imported(name: str, local: bool | None = None) -> set[str]:
    """The full names of what a file imports: everywhere, or only inside functions or only outside of them."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    package = ["rustorch", *Path(name).parts[:-1]]
    found = [names_of(node, package) for node, inside in statements(tree) if local in (None, inside)]
    return set().union(*found)


def floor(part: str) -> int:
    """The number of a part's floor."""
    assert part in FLOORS, f"{part!r} has no floor yet: give it one in FLOORS, and in the map of CONTRIBUTING.md"
    return FLOORS.index(part)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_imports_only_parts_below(name: str) -> None:
    part = Path(name).parts[0].removesuffix(".py")
    for full_name in imported(name):
        root, _, rest = full_name.partition(".")
        if root != "rustorch":
            continue
        other = rest.partition(".")[0]
        if not ((ROOT / other).exists() or (ROOT / f"{other}.py").exists()):
            other = "__init__"  # a name of the public face
        if part == "__init__" or other == part:
            continue
        assert floor(other) < floor(part), f"{name} imports {full_name}, which is above it"


@pytest.mark.parametrize("name", NAMES)
def test_array_libraries_are_imported_in_backends_alone(name: str) -> None:
    libraries = {full_name.partition(".")[0] for full_name in imported(name)} & LIBRARIES
    assert not libraries or name.startswith("backends/"), f"{name} imports {sorted(libraries)}"


#: The files of layers. nn/parallel/ has no layers: it lays out and moves memory, and needs backends for that.
LAYERS = [n for n in NAMES if n.startswith(("nn/", "ops/network/")) and not n.startswith("nn/parallel/")]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_know_dtypes_and_types_alone_of_backends(name: str) -> None:
    backends = {
        full_name.removeprefix("rustorch.backends.") for full_name in imported(name) if ".backends" in full_name
    }
    refused = {rest for rest in backends if rest.partition(".")[0] not in KNOWN_TO_LAYERS}
    assert not refused, f"use xp, or a function of ops, instead of {sorted(refused)}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ops/")])
def test_functions_of_ops_import_nothing_themselves(name: str) -> None:
    assert not imported(name, local=True), (
        "import it at the top; if there is a circle, move what is shared to a file below"
    )


def test_imports_are_read_from_every_form_of_statement() -> None:
    source = "import numpy.linalg as la\nfrom ...backends import get\ndef f():\n    from ...backends.base import info\n"
    found = [(names_of(node, ["rustorch", "nn", "functional"]), local) for node, local in statements(ast.parse(source))]
    assert sorted(found, key=str) == [
        ({"numpy.linalg"}, False),
        ({"rustorch.backends.base.info"}, True),
        ({"rustorch.backends.get"}, False),
    ]
    assert any(full_name.partition(".")[0] == "numpy" for full_name in imported("backends/base.py"))
    assert any(full_name.startswith("rustorch.ops.") for full_name in imported("variable.py"))
