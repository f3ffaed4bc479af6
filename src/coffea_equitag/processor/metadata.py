"""What coffea knows of a chunk beside its events: the dataset, and whether it is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak

from ..errors import JetError, explain
from ..plain_numbers import plain

__all__ = ["dataset_of", "is_simulation", "metadata_of"]


def metadata_of(events: ak.Array) -> Mapping[str, Any]:
    """The metadata of events; of some fields of them, which coffea gives none, those of the file they are from."""
    found = getattr(events, "metadata", None)
    if not isinstance(found, Mapping):
        form = getattr(events, "attrs", {}).get("@form") or {}
        found = (form.get("parameters") or {}).get("metadata") if isinstance(form, Mapping) else None
    return found or {}


def dataset_of(metadata: Mapping[str, Any]) -> str:
    """Name of the dataset, ``unknown`` without metadata."""
    return str(metadata.get("dataset", "unknown"))


def is_simulation(metadata: Mapping[str, Any]) -> bool:
    """``metadata["is_mc"]``; without it, events count as simulated.

    Raises
    ------
    JetError
        If it is neither True nor False.
    """
    given = plain(metadata.get("is_mc", True))
    if not isinstance(given, bool):
        raise JetError(
            explain(
                f"metadata with is_mc = {given!r}",
                "True for simulation, False for data",
                "correct the fileset: {'metadata': {'is_mc': False}}",
            )
        )
    return given
