"""Scores kept on disk, so that a second pass over the same jets reads them instead of running the network.

Each jet is found by a hash of the tagger and of all that the network sees of the jet (`jet_keys`). Whatever changes a
jet (a variation, another reader) changes its key, so a score found is that of this very jet, and jets that a selection
or a variation leaves as they are share theirs. File, tree and range of events only say where to look:
``<folder>/<tagger>/<uuid of the file>/<tree>_<range>.scores``.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import torch

from ..array_types import F8, I8, Bools
from ..atomic_file import make_folder, write_atomic
from ..errors import CacheWarning, JetError, TaggerError, explain
from ..jets.ragged import RaggedJets
from .jet_keys import Keys, jet_keys
from .tagger import Tagger

__all__ = ["CachedTagger", "cached_tagger", "prune_scores"]

_MAGIC = b"equitag scores 1"
_DIGEST = 16


class CachedTagger(Tagger):
    """A tagger that looks for its outputs in a folder before it runs the network.

    Parameters
    ----------
    tagger : Tagger
        The tagger.
    folder : path-like
        Where scores are kept; created if need be. Several processes may use it at once.
    chunk : sequence of str
        Where the jets come from: uuid of the file, tree, range of events. Without it, scores are found again only for
        the same jets in the same order.

    Attributes
    ----------
    found, computed : int
        Numbers of jets read from the cache, and given to the network.
    """

    def __init__(self, tagger: Tagger, folder: str | os.PathLike[str], chunk: tuple[str, ...] = ()) -> None:
        super().__init__(tagger.model, tagger.card, tagger.path)
        self._tagger = tagger
        self._salt = _salt(tagger)
        self._folder = Path(folder) / hashlib.sha256(self._salt.encode()).hexdigest()[:16]
        self._chunk = chunk
        self.found = self.computed = 0

    def __call__(self, jets: ak.Array, *, pair_budget: int | None = None) -> ak.Array:
        """Score jets; what is warned of once per tagger is warned of once for all of its chunks."""
        self._warned = self._tagger._warned
        try:
            return super().__call__(jets, pair_budget=pair_budget)
        finally:
            self._tagger._warned = self._warned

    def outputs(self, jets: RaggedJets, *, pair_budget: int | None = None) -> F8:
        """Logits, or components of vectors, one row per jet: the very numbers that the network gave."""
        if jets.num_jets == 0:
            return super().outputs(jets, pair_budget=pair_budget)
        keys = jet_keys(jets, self._salt)
        path = self._path(keys)
        stored_keys, stored = _read(path)
        rows, known = _look_up(keys, stored_keys)
        self.found += int(known.sum())
        self.computed += int((~known).sum())
        if known.all():
            return stored[rows]
        missing = np.flatnonzero(~known)
        wanted = jets.select(torch.from_numpy(missing)) if known.any() else jets
        outputs = super().outputs(wanted, pair_budget=pair_budget)
        stored = stored if len(stored) else outputs[:0]
        found = np.empty((jets.num_jets, outputs.shape[1]))
        found[known] = stored[rows[known]]
        found[missing] = outputs
        _write(path, np.concatenate([stored_keys, keys[missing]]), np.concatenate([stored, outputs]))
        return found

    def _path(self, keys: Keys) -> Path:
        parts = self._chunk or (hashlib.blake2b(keys.tobytes(), digest_size=_DIGEST).hexdigest(), "jets", "all")
        uuid, *where = (re.sub(r"[^\w.-]+", "-", part).strip("-.")[-80:] or "-" for part in parts)
        return self._folder / uuid / f"{'_'.join(where)}.scores"


def cached_tagger(tagger: Any, folder: str | os.PathLike[str], chunk: tuple[str, ...] = ()) -> CachedTagger:
    """The tagger with a cache.

    Raises
    ------
    TaggerError
        If it is a scorer of another kind, of which nothing says when its scores change.
    """
    if not isinstance(tagger, Tagger):
        raise TaggerError(
            explain(
                f"cache={os.fspath(folder)!r} for a {type(tagger).__name__}, which has no content hash",
                "a Tagger, whose hash says when its scores change",
                "wrap the network with Tagger.from_model, or leave the cache out",
            )
        )
    return CachedTagger(tagger, folder, chunk)


def prune_scores(folder: str | os.PathLike[str], max_bytes: float) -> int:
    """Remove the scores that were not used for longest, until the folder holds at most so many bytes.

    Returns
    -------
    int
        Bytes removed. What a running job wants of them, it computes again.
    """
    files = []
    for path in Path(folder).rglob("*.scores"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        files.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in files)
    removed = 0
    for _, size, path in sorted(files):
        if total - removed <= max_bytes:
            break
        path.unlink(missing_ok=True)
        removed += size
    return removed


def _salt(tagger: Tagger) -> str:
    """What the outputs depend on besides the jet; another version, or a GPU, may round differently."""
    return " ".join((tagger.content_hash, version("coffea-equitag"), tagger.model.device.type))


def _look_up(keys: Keys, stored: Keys) -> tuple[I8, Bools]:
    """Row of each key among the stored ones, and whether it is there."""
    if len(stored) == 0:
        return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
    order = np.argsort(stored[:, 0], kind="stable")
    place = np.minimum(np.searchsorted(stored[order, 0], keys[:, 0]), len(stored) - 1)
    rows = order[place]
    return rows, (stored[rows] == keys).all(axis=1)


def _read(path: Path) -> tuple[Keys, F8]:
    """Keys and outputs of a file; none where there is no file, or a damaged one."""
    nothing = np.empty((0, 2), np.uint64), np.empty((0, 0))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return nothing
    except OSError as error:
        _warn(f"{path} cannot be read: {error}")
        return nothing
    start = len(_MAGIC) + _DIGEST
    body = memoryview(content)[start:]
    if content[:start] != _MAGIC + _checksum(body) or len(body) < 16:
        _warn(f"{path} is damaged")
        return nothing
    number, width = (int(one) for one in np.frombuffer(body[:16], "<u8"))
    split = 16 + 16 * number
    with suppress(OSError):
        os.utime(path)  # the time of its last use, for `prune_scores`
    return (
        np.frombuffer(body[16:split], "<u8").reshape(number, 2).astype(np.uint64),
        np.frombuffer(body[split:], "<f8").reshape(number, width).astype(np.float64),
    )


def _write(path: Path, keys: Keys, outputs: F8) -> None:
    _, first = np.unique(keys, axis=0, return_index=True)
    keys, outputs = keys[first], outputs[first]
    head = np.array(outputs.shape, "<u8").tobytes()
    body = head + keys.astype("<u8").tobytes() + outputs.astype("<f8").tobytes()
    try:
        make_folder(path.parent)
        write_atomic(path, _MAGIC + _checksum(body) + body)
    except (OSError, JetError) as error:
        _warn(f"scores cannot be kept in {path.parent}: {error}")


def _checksum(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()


def _warn(given: str) -> None:
    message = explain(given, "a folder of scores that can be read and written", "they are computed; check the disk")
    warnings.warn(message, CacheWarning, stacklevel=4)
