"""The pages are right about the repository: links, names, gaps, dependencies, the set-up."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import rustorch
from tests.docs.pages import DOCS, GENERATED_PAGES, PAGES, ROOT, blocks, name, prose

README = ROOT / "README.md"
REPOSITORY = "https://github.com/rustorch/rustorch/blob/main/"


# -- links -------------------------------------------------------------------------------------------------------------
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: in lower case, with hyphens for spaces, and without other signs."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def place(path: Path) -> Path:
    """Where a file of the repository is: the package may be installed elsewhere."""
    package = ROOT.resolve() / "rustorch"
    return Path(rustorch.__file__).parent / path.relative_to(package) if path.is_relative_to(package) else path


def linked(page: Path, link: str) -> tuple[Path, str] | None:
    """The file and the anchor that a link names; None for another site."""
    target, _, anchor = link.partition("#")
    if link.startswith(REPOSITORY):
        return place(ROOT / target.removeprefix(REPOSITORY)), anchor
    if link.startswith("https://"):
        return None
    return (place((page.parent / target).resolve()) if target else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        target = linked(page, link)
        if target is None or target[0] in [DOCS / generated for generated in GENERATED_PAGES]:
            continue
        path, anchor = target
        assert path.exists(), f"{name(page)}: {link}"
        if anchor:
            assert anchor in anchors(path), f"{name(page)}: {link}"


def test_links_of_readme_are_absolute():
    """A package index shows README without the files around it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(README)):
        assert link.startswith("https://"), link


def test_every_page_is_linked_and_listed_by_the_index_of_its_folder():
    for page in PAGES:
        if page.parent == ROOT or page.name in ("index.md", "changelog.md", "contributing.md"):
            continue
        if page.name.startswith("adding_"):
            assert f"(docs/{page.name})" in prose(ROOT / "CONTRIBUTING.md"), page.name
            continue
        folder = page.parent if (page.parent / "index.md").exists() else page.parent.parent
        index, path = folder / "index.md", page.relative_to(folder).as_posix()
        assert f"({path})" in prose(index), f"{name(index)} does not link to {path}"
        entries = [line for block in blocks(index) if block.is_directive for line in block.text.splitlines()]
        assert path.removesuffix(".md") in entries, f"{name(index)}: {path} is in no toctree"


# -- names -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_exist(page):
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        for dotted in re.findall(r"(?<![\w./-])rustorch((?:\.\w+)+)", span):
            value = rustorch
            for part in dotted.split(".")[1:]:
                assert hasattr(value, part), f"{name(page)}: rustorch{dotted}"
                value = getattr(value, part)


def test_features_that_readme_calls_missing_are_missing():
    match = re.search(r"\*\*Not there yet:\*\* (.+?)\.\n", prose(README), re.DOTALL)
    assert match
    names = re.findall(r"`(\w+)`", match[1])
    assert names
    assert [
        name for name in names if hasattr(rustorch, name) or hasattr(rustorch.nn, name) or hasattr(rustorch.optim, name)
    ] == []


# -- dependencies, set-up, version -------------------------------------------------------------------------------------
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def package(requirement: str) -> str:
    return re.split(r"[\s<>=!~\[;]", requirement)[0]


def test_every_dependency_has_its_reason():
    text = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    runtime, extras = text.split("## Extras")
    described = set(re.findall(r"^\| ([\w-]+) \| [A-Z]", runtime, re.MULTILINE))
    assert described == {package(requirement) for requirement in project()["dependencies"]}
    described_extras = set(re.findall(r"^\| (\w+) \| ([\w-]+) \| \S", extras, re.MULTILINE)) - {("extra", "package")}
    declared = {
        (extra, package(requirement))
        for extra, requirements in project()["optional-dependencies"].items()
        for requirement in requirements
    }
    assert described_extras == {(extra, name) for extra, name in declared if name != "rustorch"}


def test_readme_begins_with_the_whole_setup():
    """.ci/run executes the first two shell blocks: one installs and runs the example, one runs the tests."""
    first, second, *_ = [block.text.splitlines() for block in blocks(README) if block.info == ("bash",)]
    assert first[0] == "pip install '.[examples]'" and first[1].startswith("python docs/examples/digits.py")
    assert second == ["pip install '.[test]'", "pytest"]


def test_changelog_has_the_current_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{rustorch.__version__}]" in changelog
