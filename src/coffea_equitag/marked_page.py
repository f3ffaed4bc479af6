"""Pages in which a command writes what stands between two lines, its markers."""

from __future__ import annotations

from .errors import TaggerError, explain

__all__ = ["between_markers"]


def between_markers(page: str, markers: tuple[str, str], text: str) -> str:
    """A page with another text between its markers.

    Raises
    ------
    TaggerError
        If the page lacks them.
    """
    before, begin, rest = page.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        lines = f"the lines {markers[0]} and {markers[1]}"
        raise TaggerError(explain("a page without a place for tables", lines, "add them to the page"))
    return f"{before}{begin}{text}{end}{after}"
