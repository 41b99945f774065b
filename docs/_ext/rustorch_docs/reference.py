"""The pages of the API reference: one per module, each with all of the module's public names.

This file needs no Sphinx. It writes reStructuredText with the directives of sphinx.ext.autodoc, and Sphinx reads the
docstrings. A module with many names (``nn``, ``nn.functional``) gets one page per family of names, and a page that
lists the families.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy

import rustorch
from rustorch import backends, ops

#: rustorch's own modules. Each has a page with the names of its ``__all__``.
MODULES = (
    "autograd",
    "func",
    "fusion",
    "pytree",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.parallel",
    "nn.utils",
    "nn.utils.parametrize",
    "nn.utils.rnn",
    "optim",
    "optim.lr_scheduler",
    "optim.swa_utils",
    "data",
    "distributed",
    "random",
    "serialization",
    "cuda",
)
#: Modules whose names are sorted into families: the files that define them.
SPLIT = ("nn", "nn.functional")
#: The introduction of a page that shows only a part of its module.
INTRODUCTIONS = {
    "devices": "The default device: new arrays and layers are made on it, unless a call names another device. And the "
    "number of threads that compute on the CPU.",
    "variable": "`Variable` is an array with a gradient and a place in the graph. Its operators are the standard's.",
}
#: Methods that a page describes again where a class overrides them: their arguments and shapes differ.
SPECIFIC = ("forward", "step")
DTYPES = tuple(name for name in rustorch.__all__ if isinstance(getattr(rustorch, name), numpy.dtype))


@dataclass(frozen=True)
class Page:
    """A page of the reference.

    Attributes
    ----------
    name : str
        The name of its file, and its title.
    prefix : str
        What a program writes before a name of this page, such as "rustorch.nn".
    module : module
        The module with these names.
    names : tuple of str
        The public names that the page describes.
    source : module
        The module whose docstring introduces the page.
    """

    name: str
    prefix: str
    module: ModuleType
    names: tuple[str, ...]
    source: ModuleType

    def members(self) -> Iterator[tuple[str, Any]]:
        """Each name with its value."""
        for name in self.names:
            yield name, getattr(self.module, name)

    def introduction(self) -> str:
        """What the page opens with."""
        return INTRODUCTIONS.get(self.name) or inspect.getdoc(self.source) or ""


def chapters() -> list[Page]:
    """The chapters of the Array API standard."""
    modules = {chapter.__name__.rpartition(".")[2]: chapter for chapter in ops.CHAPTERS}
    pages = []
    for name, module in modules.items():
        names = (*module.__all__, *DTYPES) if name == "data_type" else tuple(module.__all__)
        pages.append(Page(name, "rustorch", rustorch, names, module))
    for name, module in (("linalg", ops.linalg), ("fft", ops.fft)):
        pages.append(Page(name, f"rustorch.{name}", module, tuple(module.__all__), module))
    return pages


def own_modules() -> list[Page]:
    """The modules of rustorch that are no chapter of the standard; those of `SPLIT` are not divided here."""
    pages = [Page("variable", "rustorch", rustorch, ("Variable",), rustorch.variable)]
    for path in MODULES:
        module = importlib.import_module(f"rustorch.{path}")
        pages.append(Page(path, f"rustorch.{path}", module, tuple(module.__all__), module))
    devices = ("get_default_device", "set_default_device", "get_num_threads", "set_num_threads")
    pages.append(Page("devices", "rustorch", rustorch, devices, rustorch))
    names = ("resolve", "status", "synchronize", "DeviceUnavailable")
    pages.append(Page("backends", "rustorch.backends", backends, names, backends))
    return pages


def families(page: Page) -> list[Page]:
    """A page per file that defines names of a module of `SPLIT`, ordered by name."""
    sorted_names: dict[str, list[str]] = {}
    for name, value in page.members():
        if inspect.ismodule(value):
            continue
        home = getattr(value, "__module__", "")
        home = home if home.startswith(page.prefix) else page.prefix
        sorted_names.setdefault(home, []).append(name)
    pages = []
    for home, names in sorted(sorted_names.items()):
        title = home.removeprefix("rustorch.") if home != page.prefix else f"{page.name}.others"
        source = importlib.import_module(home)
        pages.append(Page(title, page.prefix, page.module, tuple(sorted(names)), source))
    return pages


def pages() -> list[Page]:
    """All pages that describe names."""
    described = []
    for page in [*chapters(), *own_modules()]:
        described += families(page) if page.name in SPLIT else [page]
    return described


def public_names() -> dict[str, Any]:
    """Full name -> value, of everything that the pages have to describe. Modules are pages themselves."""
    names = {f"rustorch.{name}": getattr(rustorch, name) for name in rustorch.__all__}
    for path in MODULES:
        module = importlib.import_module(f"rustorch.{path}")
        names |= {f"rustorch.{path}.{name}": getattr(module, name) for name in module.__all__}
    return {name: value for name, value in names.items() if not inspect.ismodule(value)}


# -- one name ----------------------------------------------------------------------------------------------------------
def members_of_class(cls: type, public: set[Any]) -> list[str]:
    """The documented methods and properties of a class.

    A method that a public base class describes is left out, also where the class overrides it, unless its arguments or
    shapes differ.
    """
    described = {base for other in cls.__mro__[1:] if other in public for base in other.__mro__}
    inherited = {name for base in described if base.__module__.startswith("rustorch") for name in vars(base)}
    own = [base for base in cls.__mro__ if base not in described and base.__module__.startswith("rustorch")]
    names = []
    for name in sorted({name for base in own for name in vars(base) if not name.startswith("_")}):
        if name in inherited and name not in SPECIFIC:
            continue
        value = inspect.getattr_static(cls, name)
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if (inspect.isroutine(function) or isinstance(value, property)) and inspect.getdoc(function):
            names.append(name)
    return names


def directive(page: Page, name: str, value: Any, public: set[Any]) -> list[str]:
    """The lines that describe a name."""
    full = f"{page.prefix}.{name}"
    if inspect.isclass(value):
        members = members_of_class(value, public)
        lines = [f".. autoclass:: {full}"]
        if issubclass(value, BaseException) or not members:
            return [*lines, ""]
        return [*lines, f"   :members: {', '.join(members)}", ""]
    if callable(value) and getattr(value, "__module__", "").startswith("rustorch"):
        return [f".. autofunction:: {full}", ""]
    return [f".. py:data:: {name}", f"   :value: {value!r}", ""]


# -- pages -------------------------------------------------------------------------------------------------------------
def title(text: str) -> list[str]:
    return [text, "=" * len(text), ""]


def summary(page: Page) -> list[str]:
    """A table of the names that have docstrings, with the first line of each."""
    described = [name for name, value in page.members() if callable(value) and not isinstance(value, numpy.dtype)]
    if len(described) < 2:
        return []
    return [".. autosummary::", "   :nosignatures:", "", *[f"   {name}" for name in described], ""]


def written(page: Page, public: set[Any]) -> str:
    """The text of a page of names."""
    lines = title(page.name)
    if page.prefix == f"rustorch.{page.name}":
        lines += [f".. py:module:: {page.prefix}", ""]
    else:
        lines += [f".. py:currentmodule:: {page.prefix}", ""]
    lines += [page.introduction(), "", *summary(page)]
    for name, value in page.members():
        if not inspect.ismodule(value):
            lines += directive(page, name, value, public)
    return "\n".join(lines).rstrip() + "\n"


def overview(page: Page) -> str:
    """The text of the page of a split module: its families, each with its names."""
    lines = [*title(page.name), f".. py:module:: {page.prefix}", "", page.introduction(), ""]
    lines += [".. list-table::", "   :header-rows: 1", "   :widths: 25 75", "", "   * - page", "     - names"]
    for family in families(page):
        names = ", ".join(f":py:obj:`~{page.prefix}.{name}`" for name in family.names)
        lines += [f"   * - :doc:`{family.name}`", f"     - {names}"]
    lines += ["", ".. toctree::", "   :hidden:", "", *[f"   {family.name}" for family in families(page)]]
    return "\n".join(lines) + "\n"


def first_sentence(docstring: str) -> str:
    """The beginning of a docstring up to its first full stop or blank line, on one line."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    head, dot, _ = paragraph.partition(". ")
    return (head + dot).strip()


def index() -> str:
    """The text of the page that lists all modules."""
    lines = title("API")
    lines += ["Every public module and function. The pages are made from the docstrings when the site is built.", ""]
    for heading, group in (("The Array API standard", chapters()), ("Modules of rustorch", own_modules())):
        lines += [heading, "-" * len(heading), ""]
        lines += [".. list-table::", "   :widths: 25 75", ""]
        for page in group:
            lines += [f"   * - :doc:`{page.name}`", f"     - {first_sentence(page.introduction())}"]
        lines += ["", ".. toctree::", "   :hidden:", "", *[f"   {page.name}" for page in group], ""]
    return "\n".join(lines)


def reference() -> dict[str, str]:
    """File name -> text, of all pages of the folder reference/api."""
    described = pages()
    public = {value for page in described for _, value in page.members() if inspect.isclass(value)}
    texts = {f"{page.name}.rst": written(page, public) for page in described}
    texts |= {f"{page.name}.rst": overview(page) for page in own_modules() if page.name in SPLIT}
    return texts | {"index.rst": index()}
