"""Jets whose own four-momentum has changed, with constituents that follow."""

from __future__ import annotations

import awkward as ak
import numpy as np

from ..jets.coordinates import coordinates_of
from ..jets.nesting import unmasked
from ..jets.tracing import is_traced, touch

__all__ = ["rescaled"]

_ANGLES = ("eta", "phi")


def rescaled(jets: ak.Array, varied: ak.Array) -> ak.Array:
    """The jets with the four-momenta of the varied ones, and constituents multiplied by the ratio of their pT.

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]`` with constituents; those without a varied jet are missing.
    varied : ak.Array
        The varied jets, parallel to them.
    """
    jets, exists = unmasked(jets)
    names = [name for name in (coordinates_of(jets.fields) or {}).values() if name in varied.fields]
    if is_traced(jets):
        for name in names:
            touch(varied[name])
        return jets
    momenta = {name: ak.fill_none(varied[name], 1.0, axis=1) for name in names}
    factor = _pt(momenta) / _pt({name: jets[name] for name in names})
    constituents = jets["constituents"]
    for name in (coordinates_of(constituents.fields) or {}).values():
        if name not in _ANGLES:
            constituents = ak.with_field(constituents, constituents[name] * factor, name)
    for name, column in momenta.items():
        jets = ak.with_field(jets, column, name)
    jets = ak.with_field(jets, constituents, "constituents")
    return jets if exists is None else ak.mask(jets, exists)


def _pt(momenta: dict[str, ak.Array]) -> ak.Array:
    if "pt" in momenta:
        return ak.values_astype(momenta["pt"], np.float64)
    return np.hypot(ak.values_astype(momenta["px"], np.float64), ak.values_astype(momenta["py"], np.float64))
