"""A fast detector simulation: helices, tracks, calorimeter towers and energy flow, all on flat arrays.

The parametrisation is that of Delphes (arXiv:1307.6346); `ATLAS` and `CMS` hold its parameters as data.
"""

from __future__ import annotations

from .card import DetectorCard
from .cards import ATLAS, CARDS, CMS
from .response import Detector

__all__ = ["ATLAS", "CARDS", "CMS", "Detector", "DetectorCard"]
