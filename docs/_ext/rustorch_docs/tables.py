"""Three tables that are made when the site is built: derivatives, kernels, and the files of the repository."""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import rustorch
from rustorch.backends import kernels
from tests import table

from .reference import first_sentence

ROOT = Path(__file__).parents[3]
#: The tests' stand-in for CuPy: with it, the backend for CUDA can be imported without a GPU.
STAND_IN = ROOT / "tests" / "support" / "cuda"
#: The folders whose files are listed, in this order.
FOLDERS = (Path(rustorch.__file__).parent, ROOT / "tests", ROOT / "benchmarks")


def tables() -> dict[str, str]:
    """File name -> text, of the pages of the folder reference/tables."""
    rows = table.rows(table.promised, table.BACKENDS)
    return {
        "derivatives.md": table.written(*rows),
        "kernels.md": kernel_page(overrides("numpy"), overrides_for_cuda()),
        "files.md": file_page(),
    }


# -- kernels -----------------------------------------------------------------------------------------------------------
def overrides(library: str) -> dict[str, str]:
    """Name of a kernel -> the file of ``backends/<library>`` that overrides it."""
    package = importlib.import_module(f"rustorch.backends.{library}")
    files: dict[str, str] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        if getattr(module, "OVERRIDES", package.OVERRIDES) is not package.OVERRIDES:
            files |= dict.fromkeys(module.OVERRIDES, info.name)
    return {name: files[name] for name in package.OVERRIDES}


def overrides_for_cuda() -> dict[str, str]:
    """The same for CuPy, in a process that imports the stand-in for CuPy."""
    path = [str(STAND_IN), str(ROOT), str(Path(__file__).parents[1])]
    code = "import json; from rustorch_docs.tables import overrides; print(json.dumps(overrides('cupy')))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout)


def kernel_page(numpy: dict[str, str], cupy: dict[str, str]) -> str:
    """Which file has each kernel, and which backend has a version of its own."""
    families = {name: family for family, names in kernels.FAMILIES.items() for name in names}
    lines = [
        "# Kernels",
        "",
        "A kernel is a numerical routine that the standard lacks, or that deserves a version tuned by hand. Its plain "
        "version is in `rustorch/backends/kernels/`, and every backend can run it. A backend with a faster version "
        "has it in a file of the same name in its own folder. The tests compare both.",
        "",
    ]
    for family in kernels.FAMILIES:
        module = importlib.import_module(f"rustorch.backends.kernels.{family}")
        lines += [
            f"## {family}.py",
            "",
            first_sentence(module.__doc__ or ""),
            "",
            "| kernel | what it computes | NumPy | CuPy |",
            "| --- | --- | --- | --- |",
        ]
        for name in kernels.FAMILIES[family]:
            cells = [
                f"`{library}/{files[name]}.py`" if name in files else "plain version"
                for library, files in (("numpy", numpy), ("cupy", cupy))
            ]
            purpose = first_sentence(getattr(module, name).__doc__ or "").replace("|", "\\|")
            lines.append(f"| `{name}` | {purpose} | {cells[0]} | {cells[1]} |")
        lines.append("")
    lines += [
        "## Functions of the standard",
        "",
        "A backend can also replace a function of the standard itself.",
        "",
        "| function | NumPy | CuPy |",
        "| --- | --- | --- |",
    ]
    for name in sorted({*numpy, *cupy} - set(families)):
        cells = [
            f"`{library}/{files[name]}.py`" if name in files else ""
            for library, files in (("numpy", numpy), ("cupy", cupy))
        ]
        lines.append(f"| `{name}` | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


# -- files -------------------------------------------------------------------------------------------------------------
def summary(file: Path) -> str:
    """The first sentence of a module's docstring."""
    return first_sentence(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "")


def listed(folder: Path, top: Path) -> list[str]:
    """The lines of a folder in the folder ``top``: its own files, then its folders."""
    lines = [f"## {folder.relative_to(top.parent).as_posix()}/", ""]
    package = folder / "__init__.py"
    if package.exists() and summary(package):
        lines += [summary(package).replace("|", "\\|"), ""]
    files = [file for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"]
    if files:
        lines += ["| file | what is inside |", "| --- | --- |"]
        lines += [f"| `{file.name}` | {summary(file).replace('|', chr(92) + '|')} |" for file in files] + [""]
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))):
        lines += listed(inner, top)
    return lines


def file_page() -> str:
    """What each file of the repository has, from the first sentence of its docstring."""
    lines = [
        "# Files",
        "",
        "What each Python file has: the first sentence of its docstring. "
        "[Design](../../explanation/design.md) says how the parts of the package build on each other.",
        "",
    ]
    for folder in FOLDERS:
        lines += listed(folder, folder)
    return "\n".join(lines) + "\n"
