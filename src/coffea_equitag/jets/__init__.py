"""What a jet is: the canonical collection, its coordinates and nesting, and the ragged batch built from it.

`RaggedJets`, which needs torch, is defined in `coffea_equitag.jets.ragged`.
"""

from .collection import FlatJets, flatten, make_jets, validate

__all__ = ["FlatJets", "flatten", "make_jets", "validate"]
