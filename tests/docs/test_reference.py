"""The generated reference has every public name, and nothing in it depends on the run."""

from __future__ import annotations

import inspect
import re

import pytest

import rustorch
from tests.docs import pages as _pages  # finds rustorch_docs  # noqa: F401

from rustorch_docs import reference  # isort: skip

PAGES = reference.pages()
WRITTEN = reference.reference()


def page(name: str) -> str:
    return WRITTEN[f"{name}.rst"]


def test_every_public_name_is_on_a_page() -> None:
    described = {id(value) for page in PAGES for _, value in page.members()}
    missing = [name for name, value in reference.public_names().items() if id(value) not in described]
    assert missing == [], "give them a page in docs/_ext/rustorch_docs/reference.py"


def test_every_public_module_has_a_page() -> None:
    prefixes = {page.prefix for page in PAGES}
    modules = [name for name in rustorch.__all__ if inspect.ismodule(getattr(rustorch, name))]
    assert [name for name in modules if f"rustorch.{name}" not in prefixes] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_opens_with_its_purpose(page: reference.Page) -> None:
    purpose = reference.first_sentence(page.introduction())
    assert purpose and purpose in " ".join(WRITTEN[f"{page.name}.rst"].split())


def test_pages_do_not_depend_on_the_run() -> None:
    for name, text in WRITTEN.items():
        assert not re.search(r"\bat 0x[0-9a-f]+", text), name
    assert reference.reference() == WRITTEN


def test_index_lists_every_module() -> None:
    for module in [*reference.chapters(), *reference.own_modules()]:
        assert f":doc:`{module.name}`" in page("index")


def test_split_module_lists_its_families() -> None:
    assert ":doc:`nn.convolution`" in page("nn") and ":py:obj:`~rustorch.nn.Conv2d`" in page("nn")
    assert ".. autoclass:: rustorch.nn.Conv2d" in page("nn.convolution")


def test_class_has_its_own_methods_but_not_those_of_a_public_base() -> None:
    assert re.search(r"autoclass:: rustorch.Variable\n   :members: .*\bbackward\b.*\bitem\b", page("variable"))
    assert re.search(r"autoclass:: rustorch.nn.Module\n   :members: .*\bstate_dict\b", page("nn.module"))
    members = re.search(r"autoclass:: rustorch.nn.Linear\n   :members: (.*)", page("nn.linear"))
    assert members and "forward" in members[1] and "state_dict" not in members[1]


def test_constants_and_dtypes_show_their_values() -> None:
    assert ".. py:data:: pi\n   :value: 3.14159" in page("constants")
    assert ".. py:data:: float32\n   :value: dtype('float32')" in page("data_type")


def test_first_sentence_ends_at_a_full_stop_or_a_blank_line() -> None:
    assert reference.first_sentence("One\nsentence. Another.") == "One sentence."
    assert reference.first_sentence("A title\n\nText.") == "A title"
