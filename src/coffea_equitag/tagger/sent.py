"""Taggers that exist only in memory, saved once by their content hash so that other processes can load them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from ..errors import TaggerError, explain
from ..jet_model import JetModel
from . import storage
from .card import Card
from .places import FOLDER, places

__all__ = ["check_visible", "send"]

#: Seconds after which a tagger that nobody sends any more is removed: 30 days.
_AGE = 30 * 86400.0


def send(model: JetModel, card: Card, content_hash: str) -> Path:
    """The folder of the tagger with this hash, made if there is none.

    Raises
    ------
    TaggerError
        If it cannot be written.
    """
    for place in places():
        folder = place / content_hash
        try:
            if not (folder / "card.json").is_file():
                _save(folder, model, card)
            os.utime(folder)
        except OSError as error:
            failure = error
            continue
        return folder
    raise TaggerError(
        explain(
            f"tagger {card.name!r}, which exists only in memory, cannot be saved for other processes: {failure}",
            f"a writable folder: {', '.join(map(str, places()))}",
            f"set {FOLDER} to a folder that all processes of the job see, or save it: tagger.save('my-tagger/')",
        )
    ) from failure


def check_visible(folder: str, content_hash: str) -> None:
    """Refuse a tagger sent from another process whose folder this process does not see.

    Raises
    ------
    TaggerError
        Naming the folder.
    """
    if not Path(folder).is_dir():
        raise TaggerError(
            explain(
                f"a tagger was sent as {folder}, which this process does not see",
                f"the folder of tagger {content_hash[:12]}, on a filesystem that all processes of the job share",
                f"save it there first, tagger.save('/shared/tagger'), or set {FOLDER} to such a folder",
            )
        )


def _save(folder: Path, model: JetModel, card: Card) -> None:
    _remove_old(folder.parent)
    try:
        storage.write(folder, model, card, overwrite=False)
    except TaggerError:
        if not (folder / "card.json").is_file():  # or another process has saved it meanwhile
            raise


def _remove_old(place: Path) -> None:
    if not place.is_dir():
        return
    for folder in place.iterdir():
        if time.time() - folder.stat().st_mtime > _AGE and (folder / "card.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
