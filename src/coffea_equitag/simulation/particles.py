"""From Pythia's event record to four-momenta: the particles that a detector could see."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import vector

from ..array_types import I8, AnyArray

__all__ = ["MOMENTUM", "delta_r", "event_numbers", "flat", "momenta", "visible"]

#: Components of a four-momentum as jets and partons have them.
MOMENTUM = ("pt", "eta", "phi", "mass")

#: PDG codes of neutrinos.
NEUTRINOS = (12, 14, 16)

#: Particles beyond this pseudorapidity are lost down the beam pipe.
MAX_ETA = 5.0


def momenta(particles: ak.Array) -> ak.Array:
    """Generator particles as ``Momentum4D`` records (px, py, pz, mass) in GeV, with ``pdgId``."""
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
    """Select stable particles within ``max_eta``, without neutrinos; ``[event][particle]``.

    With ``vertices`` they also have their production vertices ``vx, vy, vz`` in mm; 0 where Pythia gives none.
    """
    # on flat arrays: a record holds some thousand particles, nine tenths of them intermediate
    code, status = flat(particles.id), flat(particles.status)
    rows = np.flatnonzero((status > 0) & ~np.isin(np.abs(code), NEUTRINOS))
    px, py, pz = (flat(particles.p[name])[rows] for name in ("px", "py", "pz"))
    central = np.abs(pz) < np.sinh(max_eta) * np.hypot(px, py)
    rows, columns = rows[central], {"px": px[central], "py": py[central], "pz": pz[central]}
    columns |= {"mass": flat(particles.m)[rows], "pdgId": code[rows]}
    if vertices:
        columns |= {f"v{axis}": flat(ak.fill_none(particles.vProd[f"p{axis}"], 0.0))[rows] for axis in "xyz"}
    counts = np.bincount(event_numbers(particles)[rows], minlength=len(particles))
    stable = ak.zip(columns, depth_limit=1, with_name="Momentum4D", behavior=vector.backends.awkward.behavior)
    return ak.unflatten(stable, counts)


def flat(values: ak.Array) -> AnyArray:
    """All values of ``[event][particle]``, event by event."""
    numbers: AnyArray = ak.to_numpy(ak.flatten(values))
    return numbers


def event_numbers(particles: ak.Array) -> I8:
    """Index of the event of each particle of `flat`."""
    return np.repeat(np.arange(len(particles)), ak.to_numpy(ak.num(particles)))


def delta_r(one: Any, other: Any) -> Any:
    """Distance in (eta, phi) between records that have both fields."""
    phi = (one.phi - other.phi + np.pi) % (2 * np.pi) - np.pi
    return np.sqrt((one.eta - other.eta) ** 2 + phi**2)
