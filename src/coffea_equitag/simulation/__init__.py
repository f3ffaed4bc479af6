"""Labelled jets and events of known truth, from Pythia 8, a fast detector and fastjet.

`simulate` gives flat jets, `simulate_events` whole events; `simulate_file` and `simulate_folder` write any number of
them to files, and `make_split` makes the standard splits. `RECIPES` names the samples, and
`coffea_equitag.simulation.detector` holds the detector cards. There is no pile-up; the underlying event is on. Needs
``coffea-equitag[simulate]``.
"""

from __future__ import annotations

from .content import content_hash
from .pfnano import write_pfnano
from .production import simulate, simulate_events, simulate_file
from .provenance import read_provenance
from .recipes import RECIPES, SampleRecipe
from .recipes import SampleRecipe as Recipe
from .sample_folder import simulate_folder
from .splits import STANDARD_SPLITS, StandardSplit, make_split
from .writing import write_parquet

__all__ = [
    "RECIPES",
    "STANDARD_SPLITS",
    "Recipe",
    "SampleRecipe",
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
