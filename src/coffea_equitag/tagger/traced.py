"""What a tagger makes of jets that have a type but no values (``coffea.nanoevents.trace``)."""

from __future__ import annotations

import awkward as ak
import numpy as np
import vector

from ..jets.collection import check_structure
from ..jets.tracing import touch_jets
from .card import Card
from .inference import VECTORS

__all__ = ["traced_scores"]


def traced_scores(jets: ak.Array, card: Card, output: str) -> ak.Array:
    """Scores of the right type; what the tagger would read is reported as read."""
    fields = card.contract.constituent_fields
    check_structure(jets, fields)
    touch_jets(jets, fields)
    zeros = ak.num(jets["constituents"], axis=-1) * 0
    if output != "classes":
        names, kind = VECTORS[output]
        columns = dict.fromkeys(names, ak.values_astype(zeros, np.float64))
        behavior = vector.backends.awkward.behavior
        return ak.zip(columns, with_name=kind, behavior=behavior, optiontype_outside_record=True)
    score = ak.values_astype(zeros, np.float32)
    if len(card.classes) == 2:
        return score
    return ak.zip(dict.fromkeys(card.classes, score), optiontype_outside_record=True)
