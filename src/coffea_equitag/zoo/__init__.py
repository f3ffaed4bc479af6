"""Trained taggers that come with the package."""

from __future__ import annotations

from pathlib import Path

from ..errors import TaggerError, explain

__all__ = ["names", "path"]

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the taggers in the zoo."""
    return tuple(sorted(card.parent.name for card in _FOLDER.glob("*/card.json")))


def path(name: str) -> Path:
    """Folder of a tagger in the zoo; TaggerError if there is none of that name."""
    if name not in names():
        raise TaggerError(
            explain(f"no tagger {name!r} in the zoo", f"one of {', '.join(names())}", "see `equitag models`")
        )
    return _FOLDER / name
