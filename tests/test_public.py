"""What is public: the names, their docstrings and examples, and the sizes of files."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rustorch
from rustorch import data, nn, ops, optim
from rustorch.autograd.primitive import Primitive

ROOT = Path(rustorch.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
NAMES = [file.relative_to(ROOT).as_posix() for file in FILES]
MODULES = sorted(module.name for module in pkgutil.walk_packages([str(ROOT)], "rustorch.", onerror=lambda name: None))

#: Libraries that may be missing.
LIBRARIES = {
    "numpy", "cupy", "cupyx", "torch", "jax", "jaxlib", "array_api_strict", "array_api_compat", "numba", "llvmlite",
}  # fmt: skip
#: Longer than 400 lines, because they hold a table and nothing else.
TABLES: set[str] = set()


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in LIBRARIES - {"numpy", "array_api_compat"}:
            pytest.skip(f"{error.name} is not installed")
        raise


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


# -- names -------------------------------------------------------------------------------------------------------------
def _public(module: ModuleType) -> set[str]:
    return {name for name in vars(module) if not name.startswith("_") and name != "annotations"}


def _submodules(package: ModuleType) -> set[str]:
    return {module.name for module in pkgutil.iter_modules(package.__path__)}


def test_the_names_of_the_package_are_those_of_all() -> None:
    hidden = {
        "autograd",
        "fusion",
        "ops",
        "rustorch_names",
        "typing",
        "variable",
    }  # reached by their names, but nothing a user needs
    assert set(rustorch.__all__) == _public(rustorch) - hidden
    assert len(rustorch.__all__) == len(set(rustorch.__all__)), "a name stands in __all__ twice"


@pytest.mark.parametrize("package", [nn, optim], ids=["nn", "optim"])
def test_the_names_of_a_package_are_those_of_all(package: ModuleType) -> None:
    assert set(package.__all__) == _public(package) - _submodules(package)
    assert len(package.__all__) == len(set(package.__all__))
    assert set(package.__all__) <= set(rustorch.__all__)
    for name in package.__all__:
        assert getattr(rustorch, name) is getattr(package, name)


def test_the_names_of_data_are_those_of_all() -> None:
    assert set(data.__all__) == _public(data) - _submodules(data)
    assert len(data.__all__) == len(set(data.__all__))


def _defined(tree: ast.Module) -> set[str]:
    """Public names that a file defines itself, at its top level."""
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names |= {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def _used_in(tree: ast.Module) -> set[str]:
    """Names that a file imports from others, or reads as attributes of theirs."""
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    return imported | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("chapter", [chapter.__name__.rpartition(".")[2] for chapter in ops.CHAPTERS])
def test_the_names_of_a_chapter_are_those_of_all(chapter: str) -> None:
    module = getattr(ops, chapter)
    file = Path(module.__file__)
    for name in module.__all__:
        assert getattr(rustorch, name) is getattr(module, name), name
    elsewhere = set().union(*(_used_in(_tree(other)) for other in FILES if other != file))
    # a primitive that is a kernel is found by its name, in rules that run on Variables
    functions = {name for name, value in vars(module).items() if callable(value) and not isinstance(value, Primitive)}
    forgotten = (_defined(_tree(file)) & functions) - set(module.__all__) - elsewhere
    assert not forgotten, f"neither in __all__ nor used by another file: {sorted(forgotten)}"


def test_no_name_is_in_two_chapters() -> None:
    assert len(ops.__all__) == len(set(ops.__all__))


@pytest.mark.parametrize("name", ["linalg", "fft"])
def test_the_extensions_are_modules_to_import(name: str) -> None:
    extension = importlib.import_module(f"rustorch.{name}")
    assert extension is getattr(rustorch, name)
    chapter = getattr(ops, name)
    assert extension.__all__ == chapter.__all__
    assert all(getattr(extension, function) is getattr(chapter, function) for function in chapter.__all__)


# -- texts -------------------------------------------------------------------------------------------------------------
def _described() -> Iterator[tuple[str, Any]]:
    """Every public function, class and method of rustorch's own."""
    modules = {
        "": rustorch,
        "nn.functional.": nn.functional,
        "nn.init.": nn.init,
        "nn.utils.": nn.utils,
        "nn.utils.parametrize.": nn.utils.parametrize,
        "optim.lr_scheduler.": optim.lr_scheduler,
        "optim.swa_utils.": optim.swa_utils,
        "random.": rustorch.random,
        "cuda.": rustorch.cuda,
        "data.": data,
    }
    for prefix, module in modules.items():
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, ModuleType):
                yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in getattr(value, "__all__", ()))
            elif inspect.isclass(value) and value.__module__.startswith("rustorch"):
                yield f"{prefix}{name}", value
                for method, function in inspect.getmembers(value, inspect.isfunction):
                    # forward is described by its class
                    if not method.startswith("_") and method != "forward":
                        yield f"{prefix}{name}.{method}", function
            elif callable(value) and not inspect.isclass(value):
                yield f"{prefix}{name}", value


def test_everything_public_is_described() -> None:
    found = dict(_described())
    assert len(found) > 200
    silent = []
    for name, value in found.items():
        owner, _, method = name.rpartition(".")
        text = inspect.getdoc(value)
        if text is None and owner in found:  # a method may be described by the one it overrides
            text = inspect.getdoc(getattr(found[owner], method))
        if not text or not text.strip():
            silent.append(name)
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_what_is_in_it(name: str) -> None:
    assert ast.get_docstring(_tree(ROOT / name)), "a module without a docstring"


@pytest.mark.parametrize("name", ["rustorch", *MODULES])
def test_examples_in_docstrings_run(name: str) -> None:
    module = _module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    report: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def test_there_are_examples_to_run() -> None:
    finder = doctest.DocTestFinder()
    found = [
        test
        for name in ("rustorch.variable", "rustorch.nn.module", "rustorch.optim.sgd")
        for test in finder.find(_module(name))
    ]
    assert sum(len(test.examples) for test in found) >= 10


# -- files -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_files_have_at_most_400_lines(name: str) -> None:
    lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    assert lines <= 400 or name in TABLES, f"{name} has {lines} lines"


def _lines_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its signature (PyTorch's can be long) and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", NAMES)
def test_functions_have_at_most_60_lines(name: str) -> None:
    functions = [
        node for node in ast.walk(_tree(ROOT / name)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert {f.name: _lines_of_body(f) for f in functions if _lines_of_body(f) > 60} == {}


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "py.typed").read_text() == ""
