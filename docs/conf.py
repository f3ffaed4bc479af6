"""The site: ``nox -s docs`` builds it into build/site. Tutorials are run again where their code changed."""

from __future__ import annotations

import os
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

import coffea_equitag

sys.path.insert(0, str(Path(__file__).parent))  # measured.py

BUILD = Path(__file__).parents[1] / "build"

project = "coffea-equitag"
author = "The coffea-equitag developers"
copyright = author
version = release = coffea_equitag.__version__

extensions = [
    "measured",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["**/.ipynb_checkpoints", "Thumbs.db"]

html_theme = "furo"
html_title = "coffea-equitag"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_theme_options = {"source_view_link": None}

# Markdown
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

# Tutorials: run once, and again when their code changes
nb_execution_mode = os.environ.get("EQUITAG_TUTORIALS", "cache")
nb_execution_cache_path = str(BUILD / "tutorials")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # progress bars leave the state of their widgets behind, and no page shows any

# Links to other sites: nox -s links
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_allowed_redirects = {r"https://.*": r"https://.*"}  # to the newest version, or the page in one's language
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]  # these are made by scripts

# Docstrings
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# no links: types in sections of parameters; names of parameters and modules; constants; names of coffea and torch, the
# lists of which need a network
nitpick_ignore_regex = [
    ("py:class", ".*"),
    ("py:obj", r"[a-z_0-9]+(\.[a-z_0-9]+)*"),
    ("py:obj", r"([a-z_0-9]+\.)*[A-Z_0-9]+"),
    ("py:obj", r"torch\..*|SimpleCheckpointer|PackedSelection|Weights|CorrectedJetsFactory"),
]

_SITES = {
    "awkward": "https://awkward-array.org/doc/main/",
    "coffea": "https://coffea-hep.readthedocs.io/en/latest/",
    "hist": "https://hist.readthedocs.io/en/latest/",
    "numpy": "https://numpy.org/doc/stable/",
    "python": "https://docs.python.org/3/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}


def _inventory(name: str, address: str) -> Path | None:
    """The site's list of names, kept in build/; None without a network, where its names are no links."""
    path = BUILD / "inventories" / f"{name}.inv"
    if not path.exists():
        try:
            with urllib.request.urlopen(f"{address}objects.inv", timeout=5) as answer:
                content = answer.read()
        except OSError:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return path


intersphinx_mapping = {
    name: (address, str(path)) for name, address in _SITES.items() if (path := _inventory(name, address))
}


def _escape_bars(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """|x| in docstrings is an absolute value, and no substitution of reStructuredText."""
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``|:math:`.*?`)", line)
        lines[number] = "".join(part if place % 2 else part.replace("|", r"\|") for place, part in enumerate(parts))


def _by_last_name(app: Sphinx, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """`Tagger.save`, or `measure`, wherever it is documented; None if that is nowhere, or in several places."""
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects
    ends = (
        [node["reftarget"], node["reftarget"].rpartition(".")[2]] if "." in node["reftarget"] else [node["reftarget"]]
    )
    for end in ends:
        found = [name for name, one in objects.items() if name.endswith(f".{end}") and not one.aliased]
        if len(found) == 1:
            entry = objects[found[0]]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])
    return None


def _registered(_app: Sphinx, address: str) -> str | None:
    """Where doi.org says whether it knows a name: publishers turn away programs that look for pages."""
    doi = re.fullmatch(r"https://doi\.org/(10\..+)", address)
    return f"https://doi.org/api/handles/{doi[1]}" if doi else None


def _skip(_app: Sphinx, _what: str, name: str, _obj: Any, _skipped: bool, _options: Any) -> bool | None:
    """Leave out what pydantic adds to each schema."""
    return True if name == "model_config" else None


def setup(app: Sphinx) -> None:
    """Habits of the docstrings."""
    app.connect("autodoc-process-docstring", _escape_bars)
    app.connect("autodoc-skip-member", _skip)
    app.connect("linkcheck-process-uri", _registered)
    app.connect("missing-reference", _by_last_name)
