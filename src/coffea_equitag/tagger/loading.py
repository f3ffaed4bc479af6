"""Taggers from disk and from other processes, each read once where that is wanted."""

from __future__ import annotations

import copyreg
import os
from pathlib import Path
from typing import Any

import torch

from ..errors import TaggerError, explain
from . import storage as tagger_folder
from .device import device_of
from .pins import pinned
from .sent import check_visible, send
from .tagger import Tagger

__all__ = ["load", "load_count", "load_expected", "load_pinned"]

#: Taggers of this process by content hash and device.
_shared: dict[tuple[str, str], Tagger] = {}

#: Folder -> state of its files when they were last read, and the hash they had.
_verified: dict[Path, tuple[tuple[tuple[int, ...], ...], str]] = {}

_loads = 0


def load(source: str | os.PathLike[str], device: torch.device | str | None = None, *, shared: bool = False) -> Tagger:
    """Load a tagger from a folder, a zip archive, an address or, by name, from the zoo. Nothing is unpickled.

    Parameters
    ----------
    source : path-like or str
        Folder written by `Tagger.save` or by `fit`, or a name from `coffea_equitag.zoo`; or an archive of such a
        folder, ``tagger.zip`` or ``https://.../tagger.zip#sha256=...``, downloaded once (with pooch) and checked.
    device : str, optional
        Default: the GPU if there is one.
    shared : bool
        Return the same tagger to every caller in this process (by content and device), loaded once.

    Raises
    ------
    TaggerError, CheckpointError
        If there is no such tagger or device, the card is invalid, or the weights do not fit the card.
    """
    global _loads
    path = tagger_folder.find(source).resolve()
    device = str(device_of(device))
    stamp = tagger_folder.stamp(path)
    if shared and path in _verified and _verified[path][0] == stamp and (_verified[path][1], device) in _shared:
        return _shared[_verified[path][1], device]
    card, model = tagger_folder.read(path)
    _loads += 1
    tagger = Tagger(model.to(device), card, path)
    if shared:
        _verified[path] = stamp, str(card.content_hash)
        tagger = _shared.setdefault((str(card.content_hash), device), tagger)
    return tagger


def load_expected(source: str | os.PathLike[str], expected: str, device: torch.device | str | None = None) -> Tagger:
    """The tagger with this content hash, loaded once per process and device.

    Raises
    ------
    TaggerError
        If another one lies there now.
    """
    key = (expected, str(device_of(device)))
    if key in _shared and _shared[key].content_hash != expected:  # its weights were changed in memory
        del _shared[key]
    if key in _shared:
        return _shared[key]
    tagger = load(source, device, shared=True)
    if tagger.card.content_hash != expected:
        raise TaggerError(
            explain(
                f"the tagger in {source} has hash {str(tagger.card.content_hash)[:12]}",
                f"{expected[:12]}, the one that was sent",
                "it has been replaced: run the analysis again, or save each version in its own folder",
            )
        )
    return tagger


def load_pinned(source: str | os.PathLike[str], device: torch.device | str | None = None) -> Tagger:
    """`load` with ``shared=True``, for as long as this process runs the same tagger from the same place.

    Raises
    ------
    TaggerError
        If another process has replaced it since this one first used it.
    """
    path = tagger_folder.find(source).resolve()
    tagger = load(source, device, shared=True)
    found = str(tagger.card.content_hash)
    expected = pinned(path, found)
    if found != expected:
        raise TaggerError(
            explain(
                f"the tagger in {path} has been replaced while it was in use: its hash is {found[:12]}",
                f"{expected[:12]}, as when this process first used it",
                "run the analysis again, or give the new tagger itself: coffea_equitag.load(path)",
            )
        )
    return tagger


def load_count() -> int:
    """How often this process has read weights from disk."""
    return _loads


def _reduced(tagger: Tagger) -> tuple[Any, ...]:
    """Path and hash; a tagger that is not on disk as it is now is saved for this, once by its hash."""
    found = tagger.content_hash
    saved = tagger.path is not None and found == tagger.card.content_hash
    path = tagger.path if saved else send(tagger.model, tagger.card, found)
    return _restore, (str(path), found, tagger.model.device.type)


def _restore(path: str, expected: str, device: str) -> Tagger:
    """Unpickle a tagger."""
    if (expected, device) not in _shared:
        check_visible(path, expected)
    return load_expected(path, expected, device if device != "cuda" or torch.cuda.is_available() else "cpu")


# pickles of taggers: they know nothing of loading
copyreg.pickle(Tagger, _reduced)
