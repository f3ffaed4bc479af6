"""Which tagger this process uses from each folder, so that another in its place is noticed."""

from __future__ import annotations

from pathlib import Path

__all__ = ["pinned", "replace_pin"]

#: Folder -> hash of the tagger that is used.
_pins: dict[Path, str] = {}


def pinned(path: Path, content_hash: str) -> str:
    """The hash of the tagger that is used from a folder: this one, if none has been yet."""
    return _pins.setdefault(path, content_hash)


def replace_pin(path: Path, content_hash: str) -> None:
    """Use what this process has saved there, if it used another before."""
    if path in _pins:
        _pins[path] = content_hash
