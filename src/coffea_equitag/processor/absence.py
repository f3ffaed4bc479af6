"""Datasets without a collection that has a tagger: skipped and counted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import awkward as ak

from ..errors import CollectionWarning, explain
from .attach import check_collection, jet_collections

__all__ = ["absent", "skipped"]


def absent(events: ak.Array, collections: Iterable[str]) -> list[str]:
    """The collections that the events lack."""
    for collection in collections:
        if not isinstance(events, ak.Array):
            check_collection(events, collection)
    return [collection for collection in collections if collection not in events.fields]


def skipped(events: ak.Array, dataset: str, missing: list[str]) -> dict[str, Any]:
    """Output for events that lack collections: their number by dataset and collection.

    Warns
    -----
    CollectionWarning
        With the collections that the events have.
    """
    warnings.warn(
        explain(
            f"dataset '{dataset}' without a collection '{', '.join(missing)}': its events are skipped, and counted",
            f"a jet collection: these events have {jet_collections(events)}",
            "correct the name, or leave the dataset out",
        ),
        CollectionWarning,
        stacklevel=3,
    )
    return {"skipped": {dataset: dict.fromkeys(missing, len(events))}}
