"""Every Python block of README and docs runs, in order, in one namespace per page.

A block marked with a device (```` ```python cuda ````) or a package (```` ```python scipy ````) runs where that can be
used, after the blocks before it that are unmarked or have the same mark. A block of ``>>>`` lines must print what it
shows. Those of the reference (```` ```pycon ````) are run where they come from, in the docstrings.
"""

from __future__ import annotations

import contextlib
import doctest
import io
from pathlib import Path
from typing import Any

import pytest

from rustorch import backends
from tests.docs.pages import PAGES, Block, blocks, name

DEVICES = ("cuda", "jax", "torch", "strict")
#: Package -> the oldest version that the pages are true of.
GUESTS = {"scipy": "1.16", "sklearn": "1.9"}
#: What a block may need beside its mark.
HELPERS = ("safetensors",)
LANGUAGES = ("bash", "text", "python")

WITH_CODE = [page for page in PAGES if any(block.info == ("python",) for block in blocks(page))]
MARKED = [(page, block) for page in PAGES for block in blocks(page) if block.info[:1] == ("python",) and block.info[1:]]


def run(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    """Execute a block, or hold what it shows against what it prints."""
    where = f"{name(page)}:{block.line}"
    if not block.text.lstrip().startswith(">>>"):
        padded = "\n" * (block.line - 1) + block.text  # tracebacks name the page's own lines
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(padded, name(page), "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.text, namespace, where, name(page), block.line - 1)
    test.globs = namespace  # not a copy: what a block defines, the next ones see
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    report = io.StringIO()
    assert runner.run(test, out=report.write, clear_globs=False).failed == 0, f"{where}\n{report.getvalue()}"


def run_page(page: Path, namespace: dict[str, Any], mark: str | None = None, before: int | None = None) -> int:
    infos = [("python",), ("python", mark)]
    chosen = [block for block in blocks(page) if block.info in infos and (before is None or block.line < before)]
    for block in chosen:
        run(page, block, namespace)
    return len(chosen)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where blocks may write their files."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_page(page, folder):
    assert run_page(page, {"__name__": "page"}) > 0


@pytest.mark.parametrize(("page", "block"), MARKED, ids=[f"{name(page)}:{block.line}" for page, block in MARKED])
def test_marked_block(page, block, folder):
    mark = block.info[1]
    if mark in GUESTS:
        pytest.importorskip(mark, minversion=GUESTS[mark])
    else:
        try:
            backends.resolve(mark)
        except RuntimeError as reason:
            pytest.skip(str(reason))
    for helper in HELPERS:
        if f"from {helper}" in block.text:
            pytest.importorskip(helper)
    namespace: dict[str, Any] = {"__name__": "page"}
    run_page(page, namespace, mark, block.line)
    run(page, block, namespace)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_block_escapes(page):
    """A misspelled mark would leave a block out without a word."""
    content = page.read_text(encoding="utf-8")
    found = blocks(page)
    assert content.count("```") - content.count("````") == 2 * len(found), "a fence without its other half"
    for block in found:
        language, *marks = block.info
        assert language in LANGUAGES or (language == "pycon" and page.parent.name == "reference"), (
            f"{name(page)}:{block.line}: {language!r}"
        )
        allowed = {"python": (*DEVICES, *GUESTS), "text": ("map",)}.get(language, ())
        assert len(marks) <= 1 and set(marks) <= set(allowed), f"{name(page)}:{block.line}: {marks}"


def test_the_runner_notices(tmp_path):
    """A wrong result, an error, and a name of the block before."""
    page = PAGES[0]
    namespace: dict[str, Any] = {}
    run(page, Block(("python",), "a = 1\n", 1), namespace)
    run(page, Block(("python",), ">>> a + 1\n2\n>>> b = 5\n", 2), namespace)
    run(page, Block(("python",), "assert b == 5\n", 3), namespace)
    with pytest.raises(AssertionError, match="Expected"):
        run(page, Block(("python",), ">>> a + 1\n3\n", 4), namespace)
    with pytest.raises(ZeroDivisionError):
        run(page, Block(("python",), "a / 0\n", 5), namespace)
