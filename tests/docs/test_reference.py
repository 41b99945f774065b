"""The reference is what the docstrings say now, and everything public is in it."""

from __future__ import annotations

import re
from types import ModuleType

import numpy
import pytest

import rustorch
from docs import make_reference as make

WRITTEN = make.reference()
PAGES = make.pages()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_committed_page_is_what_the_docstrings_say(name: str) -> None:
    file = make.FOLDER / name
    assert file.exists() and file.read_text(encoding="utf-8") == WRITTEN[name], "run python docs/make_reference.py"


def test_no_page_is_left_over() -> None:
    assert {file.name for file in make.FOLDER.iterdir()} == {*WRITTEN, make.TABLE}, "run python docs/make_reference.py"


def test_everything_public_is_on_a_page() -> None:
    modules = {page.prefix for page in PAGES}
    values = {id(value) for page in PAGES for _, value in page.members()}
    missing = []
    for name in rustorch.__all__:
        value = getattr(rustorch, name)
        if isinstance(value, ModuleType):
            found = f"rustorch.{name}" in modules
        else:
            found = id(value) in values or isinstance(value, numpy.dtype)
        if not found:
            missing.append(name)
    assert missing == [], "give them a page in docs/make_reference.py"


def test_nothing_on_a_page_depends_on_the_run() -> None:
    for name, text in WRITTEN.items():
        assert not re.search(r"\bat 0x[0-9a-f]+", text), name


# -- from numpydoc to Markdown -----------------------------------------------------------------------------------------
DOCSTRING = """What it does, with ``code``, and see `sum`.

Parameters
----------
x, y : array
    Of any shape;
    see `linalg.det`.
axis : int

Returns
-------
Variable

Examples
--------
>>> 1 + 1
2

In words.

>>> 2
2
"""


def test_sections_become_markdown() -> None:
    links = make.Links(PAGES)
    (page,) = [page for page in PAGES if page.name == "statistical"]
    assert "\n".join(make.described(DOCSTRING, page, links)).splitlines() == [
        "What it does, with `code`, and see [`sum`](#sum).",
        "",
        "**Parameters**",
        "",
        "- `x`, `y`: array. Of any shape;",
        "  see [`linalg.det`](linalg.md#det).",
        "- `axis`: int",
        "",
        "**Returns**",
        "",
        "- `Variable`",
        "",
        "**Examples**",
        "",
        "```pycon",
        ">>> 1 + 1",
        "2",
        "```",
        "",
        "In words.",
        "",
        "```pycon",
        ">>> 2",
        "2",
        "```",
    ]


def test_a_name_that_is_in_no_reference_stays_code() -> None:
    assert make.Links(PAGES).text("`nothing` is `sum`", PAGES[0]) == "`nothing` is [`sum`](statistical.md#sum)"


def test_signatures_are_without_types() -> None:
    assert make.signature(rustorch.sum) == "(x, /, *, axis=None, dtype=None, keepdims=False)"
    assert make.signature(rustorch.Linear).startswith("(in_features, out_features, bias=True")


def test_a_class_has_its_methods_but_not_those_of_another_public_one() -> None:
    assert "### Variable.backward" in WRITTEN["variable.md"] and "### Variable.item" in WRITTEN["variable.md"]
    assert "### Module.state_dict" in WRITTEN["nn.md"] and "### Linear.state_dict" not in WRITTEN["nn.md"]
