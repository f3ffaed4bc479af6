"""Ready-made variations for `attach` and `TaggerProcessor`: functions of the events that return varied events.

::

    from coffea_equitag import variations

    shifts = {
        "pfUp": variations.CandidateScale(photon=0.01, charged=0.01, neutral=0.05),
        "tracks": variations.TrackingEfficiency(0.03),
        "puppiUp": variations.PuppiWeights(1.1),
        **variations.up_and_down("jes", variations.JetScale, 0.02, collection="FatJet"),
    }
    events = eqt.attach(events, {"FatJet": tagger}, variations=shifts)

They can be sent to other processes.
"""

from .candidates import CandidateScale, PuppiWeights, TrackingEfficiency
from .corrected_jets import FromJets, from_jets
from .jet_scale import JetScale, up_and_down

__all__ = [
    "CandidateScale",
    "FromJets",
    "JetScale",
    "PuppiWeights",
    "TrackingEfficiency",
    "from_jets",
    "up_and_down",
]
