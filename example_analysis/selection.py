"""Cuts: two hard, central fat jets back to back, and the regions by their tags."""

from __future__ import annotations

import awkward as ak
import hist
import numpy as np

COLLECTION = "FatJet"

#: Dijet mass in GeV. Below 1040 GeV the cuts on pT shape the spectrum.
MASS_AXIS = hist.axis.Regular(10, 1040, 1840, name="dijet_mass", label="Dijet mass [GeV]")


def leading_pair(events: ak.Array) -> ak.Array:
    """The two hardest fat jets; events with fewer have None in their place."""
    return ak.pad_none(events[COLLECTION], 2, clip=True)


def delta_eta(events: ak.Array) -> ak.Array:
    pair = leading_pair(events)
    return abs(pair[:, 0].eta - pair[:, 1].eta)


EVENT_SELECTIONS = {
    "leading jet: pT > 520 GeV": lambda events: leading_pair(events)[:, 0].pt > 520,
    "second jet: pT > 400 GeV": lambda events: leading_pair(events)[:, 1].pt > 400,
    "both: |eta| < 2": lambda events: ak.all(abs(leading_pair(events).eta) < 2, axis=1),
    "delta eta < 1.5": lambda events: delta_eta(events) < 1.5,
}

JET_SELECTIONS = {"the two leading jets": lambda jets: ak.local_index(jets.pt, axis=1) < 2}


def dijet_mass(jets: ak.Array) -> ak.Array:
    """Mass of the pair, as a property of its first jet so that each event counts once; none for the second."""
    mass = (jets[:, 0:1] + jets[:, 1:2]).mass
    return ak.concatenate([mass, ak.full_like(mass, np.nan)], axis=1)


def region(first: bool, second: bool):
    """Events whose leading and second jets pass or fail the tagger's working point."""

    def select(events: ak.Array, jets: dict[str, ak.Array]) -> ak.Array:
        tagged = jets[COLLECTION].score_loose
        return (tagged[:, 0] == first) & (tagged[:, 1] == second)

    return select


#: Leading and second jet: P(ass) or F(ail).
REGIONS = {"PP": (True, True), "PF": (True, False), "FP": (False, True), "FF": (False, False)}
