"""The project's own files agree with each other: versions, Pythons, workflows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import rustorch

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
YAML = [ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml", *sorted((ROOT / ".github").rglob("*.yml"))]


def pythons() -> list[str]:
    """The Pythons that the classifiers name."""
    prefix = "Programming Language :: Python :: 3."
    return [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if line.startswith(prefix)]


@pytest.mark.parametrize("file", YAML, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_yaml_files_can_be_read(file: Path) -> None:
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


def test_the_workflow_runs_on_three_systems_and_every_python() -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["run"]
    assert job["strategy"]["matrix"]["python"] == pythons()
    assert {name.partition("-")[0] for name in job["strategy"]["matrix"]["system"]} == {"ubuntu", "macos", "windows"}
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = pythons()[0]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert PROJECT["requires-python"] == f">={oldest}"
    assert settings["tool"]["mypy"]["python_version"] == oldest
    assert settings["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"


def test_the_citation_has_the_current_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (\S+)$", text, re.MULTILINE) == [rustorch.__version__]
