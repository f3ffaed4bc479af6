"""Where taggers are kept that no user has saved: those sent to other processes, and those from archives."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["FOLDER", "places"]

#: Environment variable: where such taggers are saved, ``~/.cache/coffea-equitag/taggers`` by default.
FOLDER = "COFFEA_EQUITAG_TAGGERS"


def places() -> list[Path]:
    """Where to save: the folder that the user names, else the cache of the user's home, else that of this machine."""
    if named := os.environ.get(FOLDER):
        return [Path(named).expanduser().resolve()]
    machine = Path(tempfile.gettempdir()) / f"coffea-equitag-{getattr(os, 'getuid', lambda: 0)()}" / "taggers"
    try:
        return [Path.home() / ".cache" / "coffea-equitag" / "taggers", machine]
    except RuntimeError:  # no home
        return [machine]
