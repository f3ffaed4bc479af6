"""Labelled jets and events of known truth, from Pythia 8, a fast detector and fastjet.

`simulate` gives flat jets, `simulate_events` whole events; `simulate_file` and `simulate_folder` any number of them in
files, `make_split` the standard ones. `RECIPES` names the samples, `coffea_equitag.simulation.detector` holds the
cards. No pile-up; underlying event on. Needs ``coffea-equitag[simulate]``.
"""

from __future__ import annotations

from .content import content_hash
from .pfnano import write_pfnano
from .production import simulate, simulate_events, simulate_file
from .provenance import read_provenance
from .recipes import RECIPES, Recipe
from .sample_folder import simulate_folder
from .splits import STANDARD_SPLITS, StandardSplit, make_split
from .writing import write_parquet

__all__ = [
    "RECIPES",
    "STANDARD_SPLITS",
    "Recipe",
    "StandardSplit",
    "content_hash",
    "make_split",
    "read_provenance",
    "simulate",
    "simulate_events",
    "simulate_file",
    "simulate_folder",
    "write_parquet",
    "write_pfnano",
]
