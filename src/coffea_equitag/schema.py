"""The schema with which this package itself opens files."""

from __future__ import annotations

from collections.abc import Sequence

from coffea.nanoevents import PFNanoAODSchema

__all__ = ["QuietPFNano"]


class QuietPFNano(PFNanoAODSchema):
    """PFNano without warnings about cross-references and event numbers, which the jets do not need."""

    warn_missing_crossrefs = False
    event_ids: Sequence[str] = ()
