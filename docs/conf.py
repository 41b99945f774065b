"""Settings of Sphinx: ``python -m sphinx -W -b html docs docs/_build/html`` builds the site."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

from rustorch_docs.links import inventory  # noqa: E402

import rustorch  # noqa: E402

project = "rustorch"
author = "the rustorch developers"
copyright = "the rustorch developers"
version = release = rustorch.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "rustorch_docs.extension",
]
exclude_patterns = ["_build", "_ext"]
default_role = "py:obj"
smartquotes = False  # "v---" and quoted code stay as they are

autodoc_typehints = "none"  # the docstrings describe the types
autodoc_member_order = "bysource"
autosummary_generate = False
toc_object_entries_show_parents = "hide"
html_show_sourcelink = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Inventories of the repository instead of downloads: the site is the same with and without a network.
SITES = {"python": "https://docs.python.org/3/", "numpy": "https://numpy.org/doc/stable/"}
intersphinx_mapping = {}
for name, url in SITES.items():
    file = DOCS / "_build" / "inventories" / f"{name}.inv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(inventory(name, (DOCS / "_ext" / "inventories" / f"{name}.txt").read_text(encoding="utf-8")))
    intersphinx_mapping[name] = (url, str(file))

html_theme = "pydata_sphinx_theme"
html_title = "rustorch"
html_static_path = ["_static"]
html_css_files = ["rustorch.css"]
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "use_edit_page_button": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
