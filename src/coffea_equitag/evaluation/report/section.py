"""What a report is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from matplotlib.figure import Figure

from ...errors import JetError, explain
from ..estimate import Estimate

__all__ = ["Cell", "Picture", "Section", "Table"]

#: What a table shows: text, whole numbers, other numbers with four digits, and estimates with their intervals.
Cell: TypeAlias = "str | int | float | Estimate | None"


@dataclass(frozen=True)
class Picture:
    """A figure of matplotlib, and what it shows in a sentence or two."""

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows below a header; the first column names the rows, the others are numbers.

    Raises
    ------
    JetError
        If a row has not one cell per column.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise JetError(
                    explain(
                        f"a row of {len(row)} cells below {len(self.header)} columns", "one cell each", f"see {row}"
                    )
                )


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    title : str
        Its heading, and its place in the contents.
    text : str
        Plain text; an empty line begins a new paragraph.
    pictures : sequence of Picture
        Shown side by side where the page is wide enough.
    tables : sequence of Table
        Shown below the text.
    data : mapping
        Its numbers, for ``report.json``: whatever JSON holds, NumPy's numbers and arrays, and estimates.
    name : str
        Its key in ``report.json`` and its anchor in the page; made from the title if it is empty.
    """

    title: str
    text: str = ""
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def key(self) -> str:
        """The name, or the title in lower case with underscores."""
        return self.name or re.sub(r"\W+", "_", self.title.lower()).strip("_")
