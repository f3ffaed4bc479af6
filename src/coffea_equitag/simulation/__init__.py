"""Labelled jets and events of known truth, from Pythia 8, a fast detector and fastjet.

`simulate` gives flat jets, `simulate_folder` any number of them in files, `simulate_events` whole events and
`write_pfnano` their PFNano-like file; `RECIPES` names the samples, `coffea_equitag.simulation.detector` holds the
cards. No pile-up; underlying event on. Needs ``coffea-equitag[simulate]``.
"""

from __future__ import annotations

from .pfnano import write_pfnano
from .production import simulate, simulate_events
from .provenance import write_parquet
from .recipes import RECIPES, Recipe
from .sample_folder import simulate_folder

__all__ = ["RECIPES", "Recipe", "simulate", "simulate_events", "simulate_folder", "write_parquet", "write_pfnano"]
