"""Writes the API reference from the docstrings: ``python docs/make_reference.py``.

Docstrings are numpydoc: sections with underlined titles, entries with indented descriptions. A test holds the committed
pages against what this writes, and another one that every public name is on a page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import rustorch
from rustorch import backends, ops

FOLDER = Path(__file__).parent / "reference"
#: Written by ``python -m tests.table``.
TABLE = "table.md"


#: rustorch's own modules; each has a page of what is in its ``__all__``.
MODULES = (
    "autograd",
    "func",
    "pytree",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "nn.utils.parametrize",
    "optim",
    "optim.lr_scheduler",
    "optim.swa_utils",
    "data",
    "random",
    "serialization",
    "cuda",
)
#: What stands on pages whose module's docstring is of something else.
INTRODUCTIONS = {
    "rustorch": "Where new arrays and layers are made if nothing else is said.",
    "rustorch.variable": "An array with a gradient, and its methods; the operators are those of the standard.",
}


@dataclass(frozen=True)
class Page:
    """A page of the reference.

    Attributes
    ----------
    name : str
        Of its file, and in its title.
    prefix : str
        What a program writes before a name on this page.
    module : module
        Whose docstring is the introduction.
    names : tuple of str
    """

    name: str
    prefix: str
    module: ModuleType
    names: tuple[str, ...]

    @property
    def file(self) -> str:
        return f"{self.name}.md"

    def members(self) -> Iterator[tuple[str, Any]]:
        for name in self.names:
            yield name, getattr(self.module, name)


def _page(path: str) -> Page:
    module: Any = rustorch
    for part in path.split("."):
        module = getattr(module, part)
    return Page(path, f"rustorch.{path}", module, tuple(module.__all__))


def pages() -> list[Page]:
    """The standard by its chapters, then what is rustorch's own."""
    chapters = [(chapter.__name__.rpartition(".")[2], chapter) for chapter in ops.CHAPTERS]
    return [
        *[Page(name, "rustorch", chapter, tuple(chapter.__all__)) for name, chapter in chapters],
        *[
            Page(name, f"rustorch.{name}", module, tuple(module.__all__))
            for name, module in (("linalg", ops.linalg), ("fft", ops.fft))
        ],
        Page("variable", "rustorch", rustorch.variable, ("Variable",)),
        *map(_page, MODULES),
        Page("devices", "rustorch", rustorch, ("get_default_device", "set_default_device")),
        Page("backends", "rustorch.backends", backends, ("resolve", "status", "synchronize", "DeviceUnavailable")),
    ]


# -- from numpydoc to Markdown -----------------------------------------------------------------------------------------
_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]*)\n-{3,}$", re.MULTILINE)
#: Sections whose text is entries with indented descriptions.
_LISTS = ("Parameters", "Attributes", "Returns", "Yields", "Raises")


def sections(docstring: str) -> list[tuple[str, str]]:
    """(title, text) of each section; the part before the first one has the title ""."""
    found = list(_SECTION.finditer(docstring))
    starts = [0, *(match.end() for match in found)]
    ends = [*(match.start() for match in found), len(docstring)]
    titles = ["", *(match["title"] for match in found)]
    return [(title, docstring[a:b].strip("\n")) for title, a, b in zip(titles, starts, ends, strict=True)]


def entries(text: str) -> list[tuple[str, str]]:
    """(entry, description) of each unindented line and the indented lines below it."""
    out: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line and not line[0].isspace():
            out.append((line, []))
        elif out:
            out[-1][1].append(line.strip())
    return [(entry, "\n".join(lines).strip()) for entry, lines in out]


class Links:
    """Names in backticks become links to where they are described."""

    def __init__(self, all_pages: list[Page]):
        self._targets: dict[str, str] = {}
        for page in all_pages:
            for name, _ in page.members():
                target = f"{page.file}#{anchor(name)}"
                self._targets.setdefault(f"{page.prefix}.{name}", target)
                self._targets.setdefault(f"rustorch.{name}", target)

    def text(self, text: str, page: Page) -> str:
        """reStructuredText's ``code`` and `names` as Markdown."""

        def one(match: re.Match[str]) -> str:
            code, name = match["code"], match["name"]
            if code is not None:
                return f"`{code}`"
            target = (
                self._targets.get(f"{page.prefix}.{name}")
                or self._targets.get(f"rustorch.{name}")
                or self._targets.get(name)
            )
            return f"[`{name}`]({target.removeprefix(page.file)})" if target else f"`{name}`"

        return re.sub(r"``(?P<code>.+?)``|`(?P<name>[^`\n]+)`", one, text)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _listed(text: str, page: Page, links: Links) -> list[str]:
    """``x, y : array, optional`` and its description as an item: `x`, `y`: array, optional. The description."""
    lines = []
    for entry, description in entries(text):
        names, colon, kind = entry.partition(" : ")
        if colon:
            item = ", ".join(f"`{name.strip()}`" for name in names.split(",")) + f": {kind}"
        else:
            item = links.text(entry, page) if entry.endswith(".") else f"`{entry}`"
        if description:
            item += (". " if colon else ": ") + links.text(description, page)
        lines.append("- " + item.replace("\n", "\n  "))
    return lines


def _examples(text: str) -> list[str]:
    """Sessions in fences, text between them as it is."""
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines += ["```pycon", block, "```", ""] if block.startswith(">>>") else [block, ""]
    return lines[:-1]


def described(docstring: str, page: Page, links: Links) -> list[str]:
    """The lines of a docstring in Markdown."""
    lines: list[str] = []
    for title, text in sections(docstring):
        if title:
            lines += [f"**{title}**", ""]
        if title == "Examples":
            lines += [*_examples(text), ""]
        elif title in _LISTS:
            lines += [*_listed(text, page, links), ""]
        else:
            lines += [links.text(text, page), ""]
    return lines


# -- pages -------------------------------------------------------------------------------------------------------------
def signature(value: Any) -> str:
    """Names and defaults; the types stand in the docstring."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):  # a class without a signature of its own
        return "()"
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values() if p.name != "self"]
    text = str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return re.sub(r"<function (\S+) at 0x\w+>", r"\1", text)  # a default that is a function, by its name


def _methods(kind: type, public: set[Any]) -> Iterator[tuple[str, Any]]:
    """Methods and described properties of a class, by name; what it has from another public class is
    described there.
    """
    described = {base for other in kind.__mro__[1:] if other in public for base in other.__mro__}
    own = [base for base in kind.__mro__ if base not in described and base.__module__.startswith("rustorch")]
    for name in sorted({name for base in own for name in vars(base) if not name.startswith("_")}):
        value = inspect.getattr_static(kind, name)
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if (inspect.isfunction(function) or isinstance(value, property)) and inspect.getdoc(function):
            yield name, value


def _class(name: str, kind: type, page: Page, links: Links, public: set[Any]) -> list[str]:
    lines = []
    for method, value in _methods(kind, public):
        if isinstance(value, property):
            shown = f"{name}.{method}"
        else:
            shown = f"{name}.{method}{signature(getattr(kind, method))}"
        lines += [
            f"### {name}.{method}",
            "",
            "```text",
            shown,
            "```",
            "",
            *described(inspect.getdoc(value) or "", page, links),
        ]
    return lines


def _own(value: Any) -> bool:
    return callable(value) and getattr(value, "__module__", "").startswith("rustorch")


def written(page: Page, links: Links, public: set[Any]) -> str:
    """The text of a page."""
    lines = [f"# {page.name}", ""]
    lines += described(INTRODUCTIONS.get(page.module.__name__) or inspect.getdoc(page.module) or "", page, links)
    for name, value in page.members():
        lines += [f"## {name}", ""]
        if not _own(value):
            lines += ["```text", f"{page.prefix}.{name} = {value!r}", "```", ""]
            continue
        lines += ["```text", f"{page.prefix}.{name}{signature(value)}", "```", ""]
        lines += described(inspect.getdoc(value) or "", page, links)
        if inspect.isclass(value):
            lines += _class(name, value, page, links, public)
    return "\n".join(lines).rstrip() + "\n"


def index(all_pages: list[Page]) -> str:
    """The page that lists the pages."""
    lines = [
        "# Reference",
        "",
        "Written from the docstrings by `docs/make_reference.py`.",
        "",
        "| page | holds |",
        "| --- | --- |",
    ]
    lines += [f"| [{page.name}]({page.file}) | {', '.join(f'`{name}`' for name in page.names)} |" for page in all_pages]
    lines += [
        "",
        f"[Which derivatives each function has, on which device]({TABLE}): tried, and written down by the tests.",
    ]
    return "\n".join(lines) + "\n"


def reference() -> dict[str, str]:
    """File name -> text, of every page that is written from docstrings."""
    all_pages = pages()
    links = Links(all_pages)
    public = {value for page in all_pages for _, value in page.members() if inspect.isclass(value)}
    return {"index.md": index(all_pages)} | {page.file: written(page, links, public) for page in all_pages}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    texts = reference()
    for old in FOLDER.glob("*.md"):
        if old.name not in texts and old.name != TABLE:
            old.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
