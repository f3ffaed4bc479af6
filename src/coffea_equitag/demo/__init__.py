"""The demonstration: from a packaged file to scores, histograms and plots."""

from pathlib import Path

__all__ = ["PACKAGED_FILE", "PACKAGED_TAGGER"]

#: 400 PFNano-like events, half hadronic top pairs and half QCD, made by `coffea_equitag.simulation`.
PACKAGED_FILE = Path(__file__).parent / "boosted_top.root"

#: The tagger from the zoo that was trained on jets like these.
PACKAGED_TAGGER = "top-lorentznet"
