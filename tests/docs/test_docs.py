"""Every Python block of README and docs runs. The blocks of a page run in order and share one namespace.

A block can be marked with a device (```` ```python cuda ````) or a package (```` ```python scipy ````). It runs where
that can be used, after the earlier blocks that have no mark or the same mark. A block of ``>>>`` lines must print what
it shows. Other tests run the examples in docstrings.
"""

from __future__ import annotations

import contextlib
import doctest
import io
from pathlib import Path
from typing import Any

import pytest

from rustorch import backends, distributed
from tests.docs.pages import PAGES, Block, blocks, name

DEVICES = ("cuda", "jax", "torch", "strict")
#: Package -> the oldest version that the pages describe.
GUESTS = {"scipy": "1.17", "sklearn": "1.9"}
#: Packages that a block may import without a mark.
HELPERS = ("safetensors",)
LANGUAGES = ("bash", "text", "python")
#: Blocks for Sphinx.
DIRECTIVES = ("{toctree}", "{include}")

WITH_CODE = [page for page in PAGES if any(block.info == ("python",) for block in blocks(page))]
MARKED = [(page, block) for page in PAGES for block in blocks(page) if block.info[:1] == ("python",) and block.info[1:]]


def run(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    """Execute a block. A block of ``>>>`` lines must print what it shows."""
    where = f"{name(page)}:{block.line}"
    if not block.text.lstrip().startswith(">>>"):
        padded = "\n" * (block.line - 1) + block.text  # so that tracebacks show the line of the page
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(padded, name(page), "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.text, namespace, where, name(page), block.line - 1)
    test.globs = namespace  # not a copy: later blocks use the names of this one
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    report = io.StringIO()
    assert runner.run(test, out=report.write, clear_globs=False).failed == 0, f"{where}\n{report.getvalue()}"


def run_page(page: Path, namespace: dict[str, Any], mark: str | None = None, before: int | None = None) -> int:
    """Run the blocks of a page without a mark or with this one, up to a line; returns their number."""
    infos = [("python",), ("python", mark)]
    chosen = [block for block in blocks(page) if block.info in infos and (before is None or block.line < before)]
    for block in chosen:
        run(page, block, namespace)
    return len(chosen)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder into which blocks can write files. A process group that they leave open ends with the test."""
    monkeypatch.chdir(tmp_path)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_blocks_of_a_page_run(page, folder):
    assert run_page(page, {"__name__": "page"}) > 0


@pytest.mark.parametrize(("page", "block"), MARKED, ids=[f"{name(page)}:{block.line}" for page, block in MARKED])
def test_marked_block_runs(page, block, folder):
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
def test_every_block_has_a_known_language_and_mark(page):
    """The tests would silently leave out a block with a misspelled mark."""
    content = page.read_text(encoding="utf-8")
    all_blocks = blocks(page)
    assert content.count("```") - content.count("````") == 2 * len(all_blocks), "a fence is not closed"
    for block in all_blocks:
        if block.is_directive:
            assert block.info[0] in DIRECTIVES, f"{name(page)}:{block.line}: {block.info[0]}"
            continue
        language, *marks = block.info
        assert language in LANGUAGES, f"{name(page)}:{block.line}: {language!r}"
        allowed = (*DEVICES, *GUESTS) if language == "python" else ()
        assert len(marks) <= 1 and set(marks) <= set(allowed), f"{name(page)}:{block.line}: {marks}"


def test_runner_shares_names_and_reports_wrong_results_and_errors():
    page = PAGES[0]
    namespace: dict[str, Any] = {}
    run(page, Block(("python",), "a = 1\n", 1), namespace)
    run(page, Block(("python",), ">>> a + 1\n2\n>>> b = 5\n", 2), namespace)
    run(page, Block(("python",), "assert b == 5\n", 3), namespace)
    with pytest.raises(AssertionError, match="Expected"):
        run(page, Block(("python",), ">>> a + 1\n3\n", 4), namespace)
    with pytest.raises(ZeroDivisionError):
        run(page, Block(("python",), "a / 0\n", 5), namespace)
