"""Links that leave the site, and the inventories of other projects' sites. This file needs no Sphinx."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

#: Where the files are that are no pages of the site.
REPOSITORY = "https://github.com/rustorch/rustorch/blob/main/"
LINK = re.compile(r"\]\((?!https?:|#|/)([^)\s#]+)(#[^)\s]*)?\)")


def on_site(text: str, file: Path, docs: Path) -> str:
    """Rewrite the relative links of a Markdown file for the site.

    A link to a page becomes that page's path in the folder `docs`. A link to another file becomes a URL of the
    repository.
    """

    def rewrite(match: re.Match[str]) -> str:
        target = (file.parent / match[1]).resolve()
        anchor = match[2] or ""
        if target.is_relative_to(docs) and target.suffix != ".py":
            return f"](/{target.relative_to(docs).as_posix()}{anchor})"
        return f"]({REPOSITORY}{target.relative_to(docs.parent).as_posix()}{anchor})"

    return LINK.sub(rewrite, text)


def inventory(project: str, text: str) -> bytes:
    """The inventory of Sphinx (objects.inv) with the names of a text of lines ``name domain:role path``."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    header = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    return header.encode() + zlib.compress(
        "".join(f"{name} {role} 1 {path} -\n" for name, role, path in lines).encode()
    )
