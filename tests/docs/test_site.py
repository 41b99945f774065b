"""What builds the site: links, inventories, tables, and the gallery."""

from __future__ import annotations

import ast
import zlib
from pathlib import Path

import numpy
import pytest

import rustorch
from rustorch import backends
from tests.docs.pages import DOCS, ROOT

from rustorch_docs import gallery, links, tables  # isort: skip


# -- links -------------------------------------------------------------------------------------------------------------
def test_links_to_pages_become_paths_of_the_site() -> None:
    page = DOCS / "howto" / "training.md"
    assert (
        links.on_site("[a](data.md#order) [b](../index.md)", page, DOCS) == "[a](/howto/data.md#order) [b](/index.md)"
    )


def test_links_to_other_files_become_urls_of_the_repository() -> None:
    text = links.on_site("[a](docs/examples/digits.py) [b](tests/support)", ROOT / "CHANGELOG.md", DOCS)
    assert text == f"[a]({links.REPOSITORY}docs/examples/digits.py) [b]({links.REPOSITORY}tests/support)"


def test_other_links_stay() -> None:
    text = "[a](https://numpy.org) [b](#order)"
    assert links.on_site(text, DOCS / "index.md", DOCS) == text


def test_inventory_has_the_format_of_sphinx() -> None:
    content = links.inventory("python", "# a comment\n\nint py:class functions.html#int\n")
    header, _, body = content.partition(b"zlib.\n")
    assert header.startswith(b"# Sphinx inventory version 2\n# Project: python\n")
    assert zlib.decompress(body) == b"int py:class 1 functions.html#int -\n"


@pytest.mark.parametrize("name", ["python", "numpy"])
def test_committed_inventories_are_well_formed(name: str) -> None:
    text = (DOCS / "_ext" / "inventories" / f"{name}.txt").read_text(encoding="utf-8")
    assert links.inventory(name, text)


# -- tables ------------------------------------------------------------------------------------------------------------
def test_kernel_page_has_every_kernel_and_override() -> None:
    overrides = tables.overrides("numpy")
    assert set(overrides) == set(backends.numpy.OVERRIDES)
    text = tables.kernel_page(overrides, {"conv": "convolution", "stack": "standard"})
    for name in backends.kernels.KERNELS:
        assert f"| `{name}` |" in text
    assert "`numpy/convolution.py` | `cupy/convolution.py` |" in text
    assert "| `stack` |  | `cupy/standard.py` |" in text


def test_overrides_for_cuda_are_read_without_a_gpu() -> None:
    assert tables.overrides_for_cuda()["conv"] == "convolution"


def test_file_page_has_every_file_with_its_purpose() -> None:
    text = tables.file_page()
    for file in Path(rustorch.__file__).parent.rglob("*.py"):
        if file.name != "__init__.py":
            assert f"| `{file.name}` | {tables.summary(file)[:1]}" in text.replace(r"\|", "|"), file


# -- the gallery -------------------------------------------------------------------------------------------------------
def programs() -> set[str]:
    files = (DOCS / "examples").glob("*.py")
    return {file.stem for file in files if "def main(" in file.read_text(encoding="utf-8")}


def test_every_program_is_in_the_gallery() -> None:
    assert {example.name for example in gallery.GALLERY} == programs()


def test_index_of_the_gallery_links_to_every_program() -> None:
    for example in gallery.GALLERY:
        assert f'href="{example.name}.html"' in gallery.index()


def test_page_of_a_program_has_its_picture_output_and_code() -> None:
    text = gallery.page(gallery.GALLERY[0])
    assert "(digits.png)" in text and "{literalinclude} digits.txt" in text
    assert "```text\npython docs/examples/digits.py " in text


def test_images_for_the_gallery_are_files_of_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    monkeypatch.syspath_prepend(DOCS / "examples")
    import digits

    gallery.images(tmp_path)
    [(pictures, labels)] = digits.load_mnist(tmp_path)
    assert pictures.shape == (1797, 28, 28) and labels.shape == (1797,)
    assert pictures.max() == numpy.float32(1)


def test_a_program_that_fails_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"python docs/examples/digits.py --epochs 0 failed"):
        gallery.run(gallery.Example("digits", "Digits", (("--epochs", "0"),)), tmp_path)


def test_settings_of_sphinx_are_a_python_file() -> None:
    ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
