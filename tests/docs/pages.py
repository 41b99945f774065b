"""The handwritten pages of the documentation, and the fenced blocks of each."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Folders that are written when the site is built, and files of these folders that pages may link to.
GENERATED_FOLDERS = ("_build", "gallery", "reference/api", "reference/tables")
GENERATED_PAGES = (
    "gallery/index.md",
    "reference/api/index.rst",
    "reference/tables/derivatives.md",
    "reference/tables/files.md",
    "reference/tables/kernels.md",
)
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *[
        page
        for page in sorted(DOCS.rglob("*.md"))
        if not page.relative_to(DOCS).as_posix().startswith(tuple(f"{folder}/" for folder in GENERATED_FOLDERS))
    ],
]

# The generators of the site's pages; they need no Sphinx.
sys.path.append(str(DOCS / "_ext"))

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    info : tuple of str
        The words after the opening fence: the language, and for Python the device or package that it needs.
    text : str
    line : int
        The line of the page on which the text begins.
    """

    info: tuple[str, ...]
    text: str
    line: int

    @property
    def is_directive(self) -> bool:
        """Whether the block is for Sphinx, such as a table of contents."""
        return bool(self.info) and self.info[0].startswith("{")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    content = page.read_text(encoding="utf-8")
    return [
        Block(tuple(match["info"].split()), match["text"], content.count("\n", 0, match.start("text")) + 1)
        for match in _FENCE.finditer(content)
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()
