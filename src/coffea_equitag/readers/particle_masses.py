"""Masses and charges of particles by their PDG code, for tables that store neither."""

from __future__ import annotations

import awkward as ak
import numpy as np

__all__ = ["PION_MASS", "charge_of", "mass_of"]

PION_MASS = 0.13957

#: Mass in GeV (Particle Data Group) -> absolute PDG codes; 1 and 2 are CMS's hadronic and EM clusters in HF.
_MASSES = {
    0.0: (1, 2, 12, 14, 16, 22),
    0.000511: (11,),
    0.10566: (13,),
    0.13498: (111,),
    0.49368: (321,),
    0.49761: (130, 310),
    0.93827: (2212,),
    0.93957: (2112,),
    1.11568: (3122,),
    1.18937: (3222,),
    1.19745: (3112,),
    1.32171: (3312,),
    1.67245: (3334,),
    1.7769: (15,),
}

#: Absolute PDG codes of which the positive code is positively charged, or negatively.
_POSITIVE = (211, 321, 2212, 3222)
_NEGATIVE = (11, 13, 15, 3112, 3312, 3334)


def mass_of(pdg_id: ak.Array) -> ak.Array:
    """Mass in GeV, float32; that of a charged pion for codes without an entry."""
    size = abs(pdg_id)
    mass = ak.full_like(pdg_id, PION_MASS, dtype=np.float32)
    for value, codes in _MASSES.items():
        mass = ak.where(_is_one_of(size, codes), np.float32(value), mass)
    return ak.values_astype(mass, np.float32)


def charge_of(pdg_id: ak.Array) -> ak.Array:
    """Charge in units of e, int32; 0 for codes without an entry."""
    size = abs(pdg_id)
    sign = ak.where(pdg_id > 0, 1, -1)
    charge = ak.where(_is_one_of(size, _POSITIVE), sign, ak.where(_is_one_of(size, _NEGATIVE), -sign, 0))
    return ak.values_astype(charge, np.int32)


def _is_one_of(size: ak.Array, codes: tuple[int, ...]) -> ak.Array:
    found = size == codes[0]
    for code in codes[1:]:
        found = found | (size == code)
    return found
