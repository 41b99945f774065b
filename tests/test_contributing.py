"""CONTRIBUTING.md: its maps of the package and of the tests are complete, and the files that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import rustorch
from tests.test_floors import FLOORS

ROOT = Path(__file__).parents[1]
PACKAGE = Path(rustorch.__file__).parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def entries(root: str = "rustorch") -> list[str]:
    """The folders and files of a map, as paths in its first folder: "nn/utils/", "random.py"."""
    text = PAGE.split(f"```text\n{root}/\n")[1].split("```")[0]
    found: list[str] = []
    folder = ""
    for line in text.splitlines():
        match = re.fullmatch(r"( {4}| {8})(\w+(?:\.py|/)) +\S.*", line)
        assert match, f"not an indented name and what it is: {line!r}"
        folder = "" if len(match[1]) == 4 else folder
        found.append(folder + match[2])
        if not folder and match[2].endswith("/"):
            folder = match[2]
    return found


def test_the_map_names_every_folder_and_every_module_at_the_top_once() -> None:
    modules = [file.name for file in PACKAGE.glob("*.py")]
    folders = [f"{file.parent.relative_to(PACKAGE).as_posix()}/" for file in PACKAGE.glob("*/**/__init__.py")]
    assert sorted(entries()) == sorted(modules + folders)


def test_the_map_is_in_the_order_of_the_floors() -> None:
    parts = [entry.removesuffix(".py").removesuffix("/") for entry in entries()]
    assert [part for part in parts if "/" not in part] == list(FLOORS)


def test_the_map_of_the_tests_names_every_folder_once_and_files_that_exist() -> None:
    tests = ROOT / "tests"
    parents = {file.relative_to(tests).parent.parts[:2] for file in tests.rglob("*.py")}
    folders = {"/".join(parts[:n]) + "/" for parts in parents for n in range(1, len(parts) + 1)}
    named = entries("tests")
    assert sorted(entry for entry in named if entry.endswith("/")) == sorted(folders)
    assert [entry for entry in named if not (tests / entry).exists()] == []
    assert len(set(named)) == len(named)


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https://)([^)#]+)", PAGE)
    assert len(links) > 4
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_docstring_of_autograd_names_its_files() -> None:
    folder = Path(rustorch.autograd.__file__).parent
    files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    assert set(re.findall(r"`(\w+)`", rustorch.autograd.__doc__ or "")) == files
