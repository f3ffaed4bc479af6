"""Taggers that keep the scores of a chunk on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote

import awkward as ak

from ..jets.tracing import is_traced
from ..scoring.score_columns import JetScorer
from ..tagger.score_cache import cached_tagger

__all__ = ["cached"]


def cached(
    taggers: Mapping[str, Mapping[str, JetScorer]], folder: str | os.PathLike[str] | None, events: ak.Array
) -> dict[str, dict[str, JetScorer]]:
    """Taggers by collection and name, with a cache if there is a folder.

    Raises
    ------
    TaggerError
        If there is a folder, and a scorer that is no `Tagger`.
    """
    if folder is None or is_traced(events):
        return {collection: dict(named) for collection, named in taggers.items()}
    chunk = chunk_of(events)
    return {
        collection: {name: cached_tagger(one, folder, chunk) for name, one in named.items()}
        for collection, named in taggers.items()
    }


def chunk_of(events: ak.Array) -> tuple[str, ...]:
    """Uuid of the file, tree and range of events that coffea opened; empty for events from elsewhere."""
    factory = (getattr(events, "attrs", None) or {}).get("@events_factory")
    parts = tuple(map(unquote, str(getattr(factory, "_partition_key", "")).split("/")))
    return parts if len(parts) == 3 else ()
