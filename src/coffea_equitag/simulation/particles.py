"""From Pythia's event record to four-momenta: the particles a detector could see."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import vector

__all__ = ["births", "delta_r", "momenta", "visible"]

#: PDG codes of neutrinos.
NEUTRINOS = (12, 14, 16)

#: Particles beyond this pseudorapidity are lost down the beam pipe.
MAX_ETA = 5.0


def momenta(particles: ak.Array) -> ak.Array:
    """Give generator particles as ``Momentum4D`` records (px, py, pz, mass) in GeV, with ``pdgId``."""
    return ak.zip(
        {
            "px": particles.p.px,
            "py": particles.p.py,
            "pz": particles.p.pz,
            "mass": particles.m,
            "pdgId": particles.id,
        },
        with_name="Momentum4D",
        behavior=vector.backends.awkward.behavior,
    )


def visible(particles: ak.Array, max_eta: float = MAX_ETA, vertices: bool = False) -> ak.Array:
    """Select stable particles that are no neutrinos and lie within ``max_eta``; ``[event][particle]``.

    With ``vertices`` they also tell where they are born, ``vx, vy, vz`` in mm.
    """
    code = abs(particles.id)
    seen = particles.status > 0
    for neutrino in NEUTRINOS:
        seen = seen & (code != neutrino)
    stable = momenta(particles[seen])
    if vertices:
        for name, column in births(particles[seen]).items():
            stable[name] = column
    return stable[abs(stable.eta) < max_eta]


def births(particles: ak.Array) -> dict[str, ak.Array]:
    """Where generator particles are born: ``vx, vy, vz``, mm; the origin where Pythia gives nothing."""
    return {f"v{axis}": ak.fill_none(particles.vProd[f"p{axis}"], 0.0) for axis in "xyz"}


def delta_r(one: Any, other: Any) -> Any:
    """Distance in (eta, phi) between records that have both."""
    phi = (one.phi - other.phi + np.pi) % (2 * np.pi) - np.pi
    return np.sqrt((one.eta - other.eta) ** 2 + phi**2)
