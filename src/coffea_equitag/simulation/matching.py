"""Truth: the hard partons of an event, and which jets hold a whole hadronic top."""

from __future__ import annotations

import awkward as ak
import numpy as np

from .particles import delta_r, momenta

__all__ = ["hard_partons", "holds_top", "top_decays"]

#: Pythia's status of particles that leave the hard process or a resonance's decay, before they radiate.
OUTGOING = 23


def _parton(particles: ak.Array, mother: int) -> ak.Array:
    p4 = momenta(particles)
    columns = {name: ak.values_astype(getattr(p4, name), np.float32) for name in ("pt", "eta", "phi", "mass")}
    columns["pdgId"] = ak.values_astype(particles.id, np.int32)
    columns["status"] = ak.values_astype(abs(particles.status), np.int32)
    columns["mother"] = ak.values_astype(ak.full_like(particles.id, mother), np.int32)
    return ak.zip(columns, with_name="Momentum4D")


def top_decays(particles: ak.Array) -> ak.Array:
    """Find the top, the anti-top and their decay quarks.

    Parameters
    ----------
    particles : ak.Array
        ``[event][particle]``, Pythia's record of top-pair events whose W bosons decay to quarks.

    Returns
    -------
    ak.Array
        ``[event][10]``: top, b, W, quark, quark, then the same of the anti-top; ``pt, eta, phi, mass`` (GeV),
        ``pdgId``, ``status`` and ``mother`` (the position in this list, -1 for the tops). Top and W just before
        they decay, quarks before they radiate.
    """
    quarks = particles[(abs(particles.status) == OUTGOING) & (abs(particles.id) <= 5)]
    parent = particles.id[quarks.mother1]
    found = []
    for sign, first in ((1, 0), (-1, 5)):
        b = quarks[parent == 6 * sign][:, :1]
        pair = quarks[parent == 24 * sign][:, :2]
        top, w = particles[b.mother1], particles[pair.mother1[:, :1]]
        found += [_parton(top, -1), _parton(b, first), _parton(w, first), _parton(pair, first + 2)]
    return ak.concatenate(found, axis=1)


def hard_partons(particles: ak.Array) -> ak.Array:
    """Outgoing partons of the hard process, ``[event][parton]``, in the columns of `top_decays`."""
    return _parton(particles[abs(particles.status) == OUTGOING], -1)


def holds_top(jets: ak.Array, decays: ak.Array, radius: float) -> ak.Array:
    """Tell which jets have a top and all its three decay quarks within ``radius``.

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]`` with ``eta`` and ``phi``.
    decays : ak.Array
        ``[event][10]`` of `top_decays`.
    radius : float
        Largest distance in (eta, phi).

    Returns
    -------
    ak.Array of bool
        ``[event][jet]``.
    """
    jet, parton = ak.unzip(ak.cartesian([jets[["eta", "phi"]], decays[["eta", "phi"]]], axis=1, nested=True))
    near = delta_r(jet, parton) < radius
    # Places in `top_decays`: top, b and the two quarks; the W need not be near.
    top = near[:, :, 0] & near[:, :, 1] & near[:, :, 3] & near[:, :, 4]
    antitop = near[:, :, 5] & near[:, :, 6] & near[:, :, 8] & near[:, :, 9]
    return top | antitop
