"""The Sphinx extension: it writes the generated pages first, links names, and checks that no public name is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from . import gallery, reference, tables
from .links import on_site

logger = logging.getLogger(__name__)

#: A name in backticks on a page: `rustorch.sum`, `nn.Linear`, `Variable.backward()`.
NAME = re.compile(r"(?P<name>[A-Za-z_]\w*(\.\w+)*)(\(\))?")


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write files that changed, and remove files that are no longer made: Sphinx reads only what is new."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    for file in folder.iterdir():
        if file.suffix in (".rst", ".md") and file.name not in texts:
            file.unlink()


def generate(app: Sphinx) -> None:
    """Write the pages of the reference, the tables and the gallery."""
    source = Path(app.srcdir)
    write(source / "reference" / "api", reference.reference())
    write(source / "reference" / "tables", tables.tables())
    write(source / "gallery", gallery.gallery(source / "gallery"))


# -- docstrings --------------------------------------------------------------------------------------------------------
#: The star of a shape such as (batch, *sizes), which is no emphasis.
STAR = re.compile(r"(?<=[(\s])\*(?=\w+\))")


def escape_stars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape the stars of shapes in the text of a docstring, but not in code."""
    for i, line in enumerate(lines):
        if "*" in line and not line.lstrip().startswith((">>>", "...")):
            parts = line.split("``")
            parts[::2] = [STAR.sub(r"\\*", part) for part in parts[::2]]
            lines[i] = "``".join(parts)


# -- links -------------------------------------------------------------------------------------------------------------
def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    file = Path(app.env.doc2path(docname))
    if file.suffix == ".md":
        source[0] = on_site(source[0], file, Path(app.srcdir))


def read_included(app: Sphinx, file: Path, docname: str, source: list[str]) -> None:
    if file.suffix == ".md":
        source[0] = on_site(source[0], Path(app.srcdir) / file, Path(app.srcdir))


class Names:
    """Finds the full name that a short name means: `sum` is rustorch.sum, `functional.relu` is rustorch.nn's."""

    def __init__(self, env: BuildEnvironment):
        self.objects = env.domains.python_domain.objects
        self.by_end: dict[str, set[str]] = {}
        for full in self.objects:
            parts = full.split(".")
            for start in range(1, len(parts)):
                self.by_end.setdefault(".".join(parts[start:]), set()).add(full)

    def full(self, name: str, module: str = "") -> str | None:
        """The name in `module` if there is one, then in rustorch, then the only one with this end."""
        for prefix in (f"{module}.", "rustorch.", "rustorch.nn.", ""):
            if prefix + name in self.objects:
                return prefix + name
        ends = self.by_end.get(name, set())
        return next(iter(ends)) if len(ends) == 1 else None


def names(env: BuildEnvironment) -> Names:
    """The names of this build; made once, after all pages are read."""
    if not hasattr(env, "_rustorch_names"):
        env._rustorch_names = Names(env)  # type: ignore[attr-defined]
    return env._rustorch_names  # type: ignore[attr-defined]


def link(app: Sphinx, env: BuildEnvironment, docname: str, full: str, content: nodes.Node) -> nodes.Node | None:
    return env.domains.python_domain.resolve_xref(
        env, docname, app.builder, "obj", full, pending_xref(reftype="obj", refdomain="py"), content
    )


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Node) -> nodes.Node | None:
    """Find a short name of a docstring that Sphinx does not find."""
    if node.get("refdomain") != "py":
        return None
    full = names(env).full(node["reftarget"], node.get("py:module") or "")
    return link(app, env, node["refdoc"], full, content) if full else None


class LinkCode(SphinxPostTransform):
    """`rustorch.sum` in the text of a Markdown page becomes a link to its description."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(node.astext())
            if match is None or isinstance(node.parent, (nodes.reference, pending_xref, nodes.title)):
                continue
            name = match["name"]
            if "." not in name and not (name[0].isupper() and len(name) > 3):
                continue  # `x` and `sum` are more often variables and words of the text
            full = names(self.env).full(name)
            reference = full and link(self.app, self.env, self.env.docname, full, node.deepcopy())
            if reference:
                node.replace_self(reference)


# -- checks ------------------------------------------------------------------------------------------------------------
def check_complete(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn about each public name that no page describes. Warnings end the build."""
    objects = env.domains.python_domain.objects
    described = {
        id(value) for page in reference.pages() for name, value in page.members() if f"{page.prefix}.{name}" in objects
    }
    for name, value in reference.public_names().items():
        if name not in objects and id(value) not in described:
            logger.warning("%s is on no page of the reference", name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", generate)
    app.connect("autodoc-process-docstring", escape_stars, priority=400)  # before numpydoc
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    app.connect("missing-reference", resolve, priority=400)
    app.connect("env-check-consistency", check_complete)
    app.add_post_transform(LinkCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
