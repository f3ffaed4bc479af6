"""Whether jets lie in the pT range that a tagger was trained on."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from ..errors import JetRangeWarning, explain
from ..jets.ragged import RaggedJets
from .card import Card

__all__ = ["warn_outside"]

#: Fraction of jets outside the training range above which a warning is given.
_OUTSIDE = 0.05


def warn_outside(card: Card, jets: RaggedJets) -> bool:
    """Warn if too many jets leave the range on the card; returns whether it did."""
    bounds = card.contract.pt_range
    if bounds is None or jets.num_jets == 0:
        return False
    pt = torch.hypot(jets.jet_p4[:, 1], jets.jet_p4[:, 2]).numpy()
    outside = (pt < bounds[0]) | (pt > bounds[1])
    if outside.mean() <= _OUTSIDE:
        return False
    median = float(np.median(pt))
    message = explain(
        f"{outside.sum()} of {len(pt)} jets given to {card.name} have pT outside the range it was trained on "
        f"(median {median:.4g} GeV)",
        f"jets of pT {bounds[0]:g} to {bounds[1]:g} GeV",
        "select jets in that range, or validate the tagger outside it before you use its scores",
    )
    if bounds[0] <= median / 1000 <= bounds[1]:
        message += "; these look like MeV: divide momenta and masses by 1000"
    warnings.warn(message, JetRangeWarning, stacklevel=4)
    return True
