"""Directives for what is generated: rows of the tables of symmetry.md and performance.md, and the help of all commands.

```{measured} lorentznet
```

```{commands}
```
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from coffea_equitag.cli import COMMANDS

HERE = Path(__file__).parent
SPEED = "### top-like"


class Measured(SphinxDirective):
    """How well a network keeps its symmetry, and how fast it is, copied from the pages that commands write."""

    required_arguments = 1
    optional_arguments = 10
    final_argument_whitespace: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """The tables, with links to their pages."""
        kinds = self.arguments
        pages = {name: (HERE / f"{name}.md").read_text() for name in ("symmetry", "performance")}
        for name in pages:
            self.env.note_dependency(str(HERE / f"{name}.md"))
        symmetry = table(pages["symmetry"], "| network | precision |", kinds)
        speed = table(pages["performance"].partition(SPEED)[2], "| network | pass |", kinds, columns=6)
        text = []
        if symmetry:
            text += ["Change of the logits, relative to their rms ([how it is measured](/symmetry.md)):", symmetry]
        if speed:
            text += [
                "Speed on jets of 50 ± 20 constituents, one core ([how, and beside others](/performance.md)):",
                speed,
            ]
        if not text:
            raise self.error(f"no rows of {', '.join(kinds)} in symmetry.md or performance.md")
        return self.parse_text_to_nodes("\n\n".join(text))


def table(page: str, head: str, kinds: list[str], columns: int | None = None) -> str:
    """The rows of some networks of the first table with this head, or nothing if there are none."""
    lines = iter(page[page.index(head) :].splitlines())
    title, rule = next(lines), next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        if re.split(r"[ ,]", line.split("|")[1].strip())[0] in kinds:
            rows.append(line)
    return "\n".join(_cut(line, columns) for line in (title, rule, *rows)) if rows else ""


def _cut(line: str, columns: int | None) -> str:
    cells = line.strip().strip("|").split("|")[:columns]
    return f"|{'|'.join(cells)}|"


class Commands(SphinxDirective):
    """``equitag COMMAND --help`` for every command."""

    def run(self) -> list[nodes.Node]:
        """A title and the help of each."""
        os.environ["COLUMNS"] = "100"
        text = (f"**`equitag {name}`**\n\n```text\n{_help(name, summary)}\n```" for name, summary in COMMANDS.items())
        return self.parse_text_to_nodes("\n\n".join(text))


def _help(name: str, summary: str) -> str:
    parser = argparse.ArgumentParser(prog=f"equitag {name}", description=f"{summary[0].upper()}{summary[1:]}.")
    importlib.import_module(f"coffea_equitag.cli.{name}").configure(parser)
    return parser.format_help().strip()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("commands", Commands)
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
