"""Anti-kT jets of an event's particles, hardest first."""

from __future__ import annotations

import awkward as ak
import fastjet
import numpy as np
import vector

from ..fastjet_banner import silence_banner

__all__ = ["TRACK_COLUMNS", "cluster"]

#: Columns that are passed on from particles to constituents where they exist.
TRACK_COLUMNS = ("d0", "dz", "d0Err", "dzErr", "ip")


def cluster(particles: ak.Array, radius: float, min_pt: float) -> ak.Array:
    """Cluster particles into anti-kT jets.

    fastjet keeps the history of every event it is given, about 45 kB each: pass a few hundred events at a time.

    Parameters
    ----------
    particles : ak.Array
        ``[event][particle]`` records (px, py, pz, mass in GeV; ``pdgId``, ``charge``; any of `TRACK_COLUMNS`).
    radius : float
        Jet radius.
    min_pt : float
        Smallest jet pT in GeV.

    Returns
    -------
    ak.Array
        ``[event][jet]`` records in order of decreasing pT: ``pt, eta, phi, mass`` (float32, GeV) and ``constituents``
        (``pt, eta, phi, mass, charge, pdgId`` and the track columns), also in order of decreasing pT.
    """
    given = ak.zip(
        {"px": particles.px, "py": particles.py, "pz": particles.pz, "E": particles.E},
        with_name="Momentum4D",
        behavior=vector.backends.awkward.behavior,
    )
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    silence_banner()
    sequence = fastjet.ClusterSequence(given, definition)
    found = sequence.inclusive_jets(min_pt=min_pt)
    members = sequence.constituent_index(min_pt=min_pt)
    # fastjet does not sort the jets
    order = ak.argsort(found.pt, axis=1, ascending=False)
    found, members = found[order], members[order]
    # jagged indices reach one level down: flatten [event][jet][k] to [event][k], pick, and restore the nesting
    counts = ak.num(members, axis=2)
    picked = particles[ak.flatten(members, axis=2)]
    lists = ak.unflatten(ak.flatten(_polar(picked)), ak.flatten(counts))
    lists = lists[ak.argsort(lists.pt, axis=1, ascending=False, stable=True)]
    constituents = ak.unflatten(lists, ak.num(counts))
    return ak.zip(
        {**_coordinates(found), "constituents": constituents},
        depth_limit=2,
        with_name="Momentum4D",
        behavior=vector.backends.awkward.behavior,
    )


def _coordinates(momenta: ak.Array) -> dict[str, ak.Array]:
    # float32 holds (pt, eta, phi, mass) to 1e-7, and the mass is never derived from them again
    return {name: ak.values_astype(getattr(momenta, name), np.float32) for name in ("pt", "eta", "phi", "mass")}


def _polar(particles: ak.Array) -> ak.Array:
    return ak.zip(
        {
            **_coordinates(particles),
            "charge": ak.values_astype(particles.charge, np.int32),
            "pdgId": ak.values_astype(particles.pdgId, np.int32),
            **{name: particles[name] for name in TRACK_COLUMNS if name in particles.fields},
        },
        depth_limit=particles.ndim,
        with_name="Momentum4D",
        behavior=vector.backends.awkward.behavior,
    )
