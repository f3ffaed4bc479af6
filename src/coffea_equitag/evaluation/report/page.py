"""A report as one page of HTML, with its figures in it and nothing to load, and as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...atomic_file import write_together
from ...errors import JetError, explain
from ..estimate import Estimate
from .numbers import json_bytes
from .pictures import data_url
from .section import Cell, Picture, Section, Table

__all__ = ["report_files", "write_report"]

#: Of report.json; it changes when a key gets another meaning.
SCHEMA = 1


def report_files(
    title: str,
    sections: Sequence[Section],
    *,
    about: Mapping[str, Any] | None = None,
    summary: Mapping[str, Cell] | None = None,
) -> dict[str, bytes]:
    """A report as the contents of its files, to be written with others by `write_together`.

    Parameters
    ----------
    title : str
        Of the page.
    sections : sequence of Section
        In their order.
    about : mapping, optional
        What the report is about, such as the tagger and its data: a list below the title.
    summary : mapping of str to Cell, optional
        Few numbers that matter most, shown large below the title.

    Returns
    -------
    dict of str to bytes
        ``report.html`` and ``report.json``: the keys ``schema``, ``title``, ``about``, ``summary``, and ``sections`` by
        their names.

    Raises
    ------
    JetError
        If two sections have the same name.
    """
    names = [section.key for section in sections]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise JetError(explain(f"two sections called {', '.join(repeated)}", "different names", "give one a name="))
    about, summary = about or {}, summary or {}
    numbers = {
        "schema": SCHEMA,
        "title": title,
        "about": about,
        "summary": summary,
        "sections": {section.key: section.data for section in sections},
    }
    return {"report.html": _page(title, sections, about, summary).encode(), "report.json": json_bytes(numbers)}


def write_report(folder: str | Path, title: str, sections: Sequence[Section], **options: Any) -> Path:
    """Write ``report.html`` and ``report.json`` into a folder, both or none; return the page's path.

    Parameters and errors as `report_files`; also `JetError` if the folder is a file.
    """
    write_together(Path(folder), report_files(title, sections, **options))
    return Path(folder) / "report.html"


def _page(title: str, sections: Sequence[Section], about: Mapping[str, Any], summary: Mapping[str, Cell]) -> str:
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    contents = "".join(f'<li><a href="#{each.key}">{escape(each.title)}</a></li>' for each in sections)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_in_words(value))}</dd>" for name, value in about.items())
    tiles = "".join(f"<div><dt>{_text(name)}</dt><dd>{_cell(value)}</dd></div>" for name, value in summary.items())
    body = "\n".join(map(_section, sections))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>
<header><h1>{escape(title)}</h1>{_list("about", facts)}{_list("summary", tiles)}</header>
{body}
</main>
</body>
</html>
"""


def _list(kind: str, entries: str) -> str:
    return f'<dl class="{kind}">{entries}</dl>' if entries else ""


def _in_words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{_text(part.strip())}</p>" for part in section.text.split("\n\n") if part.strip())
    tables = "".join(map(_table, section.tables))
    pictures = "".join(map(_picture, section.pictures))
    if pictures:
        pictures = f'<div class="pictures">{pictures}</div>'
    return f'<section id="{section.key}"><h2>{_text(section.title)}</h2>{paragraphs}{tables}{pictures}</section>'


def _picture(picture: Picture) -> str:
    caption = escape(picture.caption)
    width = round(80 * picture.figure.get_figwidth())
    image = f'<img src="{data_url(picture.figure)}" width="{width}" alt="{caption}">'
    return f"<figure>{image}<figcaption>{_text(picture.caption)}</figcaption></figure>"


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.header)
    rows = "".join(
        f'<tr><th scope="row">{_cell(name)}</th>{"".join(f"<td>{_cell(value)}</td>" for value in values)}</tr>'
        for name, *values in table.rows
    )
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    return f'<div class="table"><table>{caption}<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>'


def _text(text: str) -> str:
    """Escaped, with the index of an efficiency as one: ε_B."""
    return re.sub(r"ε_(\w)\b", r"ε<sub>\1</sub>", escape(text))


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    if not isinstance(value, Estimate):
        return _text(str(value))
    number, above, below = value.parts
    if above != below and str(value).startswith(f"{number} +"):
        return f'{number}<span class="interval"><sup>+{above}</sup><sub>−{below}</sub></span>'
    return escape(str(value))
