"""What a jet is: the canonical collection, its coordinates, its outer structure, and the ragged batch made of it.

`RaggedJets`, which needs torch, is in `coffea_equitag.jets.ragged`.
"""

from .collection import FlatJets, flatten, make_jets, validate

__all__ = ["FlatJets", "flatten", "make_jets", "validate"]
