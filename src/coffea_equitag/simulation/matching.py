"""Truth: the hard partons of an event, the jets that contain a whole hadronic top or W, and jet flavour."""

from __future__ import annotations

import awkward as ak
import numpy as np

from ..array_types import AnyArray, Bools
from .particles import delta_r, event_numbers, flat, momenta

__all__ = ["BOTTOM", "CHARM", "LIGHT", "flavour", "hard_partons", "holds_top", "holds_w", "top_decays", "w_decays"]

#: Pythia's status of particles from the hard process or a resonance decay, before they radiate.
OUTGOING = 23

#: Flavours of jets, as labels.
LIGHT, CHARM, BOTTOM = 0, 1, 2

#: PDG codes.
CHARM_QUARK, BOTTOM_QUARK = 4, 5

#: Hadrons below this pT (GeV) do not determine a jet's flavour.
HADRON_PT = 5.0


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
        ``[event][10]``: top, b, W, quark, quark, then the same for the anti-top; ``pt, eta, phi, mass`` (GeV),
        ``pdgId``, ``status`` and ``mother`` (the index in this list, -1 for the tops). Top and W are taken just before
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
    """Outgoing partons of the hard process, ``[event][parton]``, with the columns of `top_decays`."""
    return _parton(particles[abs(particles.status) == OUTGOING], -1)


def holds_top(jets: ak.Array, decays: ak.Array, radius: float) -> ak.Array:
    """Which jets have a top and all three of its decay quarks within ``radius``.

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
    # indices in `top_decays`: top, b and the two quarks; the W need not be near
    top = near[:, :, 0] & near[:, :, 1] & near[:, :, 3] & near[:, :, 4]
    antitop = near[:, :, 5] & near[:, :, 6] & near[:, :, 8] & near[:, :, 9]
    return top | antitop


def w_decays(particles: ak.Array) -> ak.Array:
    """Find the W boson that decays to quarks, and the quarks: ``[event][3]``, with the columns of `top_decays`."""
    quarks = particles[(abs(particles.status) == OUTGOING) & (abs(particles.id) <= 5)]
    pair = quarks[abs(particles.id[quarks.mother1]) == 24][:, :2]
    return ak.concatenate([_parton(particles[pair.mother1[:, :1]], -1), _parton(pair, 0)], axis=1)


def holds_w(jets: ak.Array, decays: ak.Array, radius: float) -> ak.Array:
    """Which jets have both decay quarks of `w_decays` within ``radius``; ``[event][jet]``."""
    jet, parton = ak.unzip(ak.cartesian([jets[["eta", "phi"]], decays[["eta", "phi"]]], axis=1, nested=True))
    near = delta_r(jet, parton) < radius
    return near[:, :, 1] & near[:, :, 2]


def flavour(jets: ak.Array, particles: ak.Array, radius: float) -> ak.Array:
    """Flavour of jets from the hadrons in them.

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]`` with ``eta`` and ``phi``.
    particles : ak.Array
        ``[event][particle]``, Pythia's record.
    radius : float
        Largest distance of a hadron in (eta, phi).

    Returns
    -------
    ak.Array of int
        ``[event][jet]``: `BOTTOM` with a b hadron above 5 GeV in the jet, else `CHARM` with such a c hadron, else
        `LIGHT`.
    """
    code = np.abs(flat(particles.id))
    hadron = (code > 100) & (code < 1_000_000) & ((code // 10) % 10 != 0)
    bottom, charm = _has_quark(code, BOTTOM_QUARK), _has_quark(code, CHARM_QUARK)
    px, py = flat(particles.p.px), flat(particles.p.py)
    rows = np.flatnonzero(hadron & (bottom | charm) & (px**2 + py**2 > HADRON_PT**2))
    pt, phi = np.hypot(px[rows], py[rows]), np.arctan2(py[rows], px[rows])
    columns = {"eta": np.arcsinh(flat(particles.p.pz)[rows] / pt), "phi": phi, "bottom": bottom[rows]}
    counts = np.bincount(event_numbers(particles)[rows], minlength=len(particles))
    heavy = ak.unflatten(ak.zip(columns), counts)
    jet, inside = ak.unzip(ak.cartesian([jets[["eta", "phi"]], heavy], axis=1, nested=True))
    near = delta_r(jet, inside) < radius
    # BOTTOM is above CHARM, and CHARM above LIGHT
    return ak.fill_none(ak.max(ak.where(near, ak.where(inside.bottom, BOTTOM, CHARM), LIGHT), axis=2), LIGHT)


def _has_quark(code: AnyArray, quark: int) -> Bools:
    # the hundreds and thousands digits of a hadron's code are its quarks, heaviest first
    has: Bools = ((code // 100) % 10 == quark) | ((code // 1000) % 10 == quark)
    return has
