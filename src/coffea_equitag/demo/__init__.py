"""The demonstration: from a packaged file to scores, histograms and plots."""

from pathlib import Path

__all__ = ["PACKAGED_FILE", "PACKAGED_JETS", "PACKAGED_TAGGER"]

#: 400 PFNano-like events, half hadronic top pairs and half QCD, of recipe ``top`` with its detector; this file and the
#: next are made by ``python -m zoo.demo`` in a clone of the repository.
PACKAGED_FILE = Path(__file__).parent / "boosted_top.root"

#: 2000 top and 2000 QCD jets of the same kind, enough for a ROC curve: ``equitag simulate top -n 4000 --seed 200003``,
#: constituents rounded as in NanoAOD (pT and mass to 10 bits, η and φ to 2⁻¹²). No packaged tagger was trained on them.
PACKAGED_JETS = Path(__file__).parent / "boosted_top_jets.parquet"

#: The tagger from the zoo that was trained on jets like these.
PACKAGED_TAGGER = "top-lorentznet"
