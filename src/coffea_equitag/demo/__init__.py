"""The demonstration: from a packaged file to scores, histograms and plots."""

from pathlib import Path

__all__ = ["PACKAGED_FILE", "PACKAGED_JETS", "PACKAGED_TAGGER"]

#: 400 PFNano-like events, half hadronic top pairs and half QCD, made by `coffea_equitag.simulation`.
PACKAGED_FILE = Path(__file__).parent / "boosted_top.root"

#: 2000 top and 2000 QCD jets of the same kind, enough for a ROC curve: ``equitag simulate top-particle -n 4000 --seed
#: 20261129``, four-momenta rounded as in NanoAOD (pT to 10 bits, η and φ to 2⁻¹²).
PACKAGED_JETS = Path(__file__).parent / "boosted_top_jets.parquet"

#: The tagger from the zoo that was trained on jets like these.
PACKAGED_TAGGER = "top-lorentznet"
