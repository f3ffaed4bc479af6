"""Whether jets have the constituents that their place says, where nothing but their direction can tell."""

from __future__ import annotations

import awkward as ak
import numpy as np

from ..errors import JetError, explain

__all__ = ["check_axes", "distance"]

#: A jet is closer to its own constituents than to those of any other jet, by this factor at least.
_CLEARLY = 2.0

#: Coarsest rounding of stored η and φ.
_ROUNDING = 0.1


def check_axes(jets: ak.Array, constituents: ak.Array, collection: str, remedy: str) -> None:
    """Compare the axis of each jet with its own constituents and with those of the other jets of its event.

    Parameters
    ----------
    jets : ak.Array
        ``[event][jet]`` with eta and phi; jets may be missing.
    constituents : ak.Array
        ``[event][jet][constituent]`` with pt, eta and phi, as linked by the place of the jets.
    collection, remedy : str
        Name of the jets and what to do, for the message.

    Raises
    ------
    JetError
        If a jet is not clearly closer to its own constituents than to those of another jet, or lies outside of them.
    """
    eta, phi, extent = _sums(constituents)
    filled = ak.num(constituents, axis=-1) > 0
    own = distance(jets["eta"], jets["phi"], eta, phi)
    every = distance(jets["eta"][:, :, None], jets["phi"][:, :, None], eta[:, None], phi[:, None])
    place = ak.local_index(filled, axis=1)
    alternative = (place[:, :, None] != place[:, None]) & filled[:, None]
    nearest = ak.fill_none(ak.min(ak.where(alternative, every, np.inf), axis=-1), np.inf)
    outside = (extent > 0) & (own > extent + _ROUNDING)
    bad = ak.fill_none(filled & (outside | (_CLEARLY * own > nearest)), False)
    if not ak.any(bad, axis=None):
        return
    event = int(np.argmax(ak.to_numpy(ak.any(bad, axis=1))))
    jet = int(np.argmax(ak.to_numpy(bad[event])))
    raise JetError(
        explain(
            f"the constituents of event {event}, {collection} {jet} lie farther from its axis than, or hardly closer "
            f"than, those of another jet: {own[event, jet]:.2f} and {nearest[event, jet]:.2f} in (eta, phi)",
            f"the '{collection}' collection as stored in the file: filtered and re-sorted jets are only recognised "
            "in events opened by coffea, by their stored (eta, phi) or global index",
            remedy,
        )
    )


def _sums(constituents: ak.Array) -> tuple[ak.Array, ak.Array, ak.Array]:
    """Direction of the sum of each jet's constituents, and how far the outermost is from it."""
    pt, eta, phi = (constituents[name] for name in ("pt", "eta", "phi"))
    px, py, pz = (ak.sum(pt * part, axis=-1) for part in (np.cos(phi), np.sin(phi), np.sinh(eta)))
    # a sum without pT has no direction; its own jet is then as far as any
    sum_eta, sum_phi = np.arcsinh(pz / np.maximum(np.hypot(px, py), 1e-30)), np.arctan2(py, px)
    extent = ak.max(distance(eta, phi, sum_eta, sum_phi), axis=-1)
    return sum_eta, sum_phi, ak.fill_none(extent, 0.0)


def distance(eta: ak.Array, phi: ak.Array, other_eta: ak.Array, other_phi: ak.Array) -> ak.Array:
    """Distance in (η, φ), with φ in (−π, π]."""
    d_phi = (phi - other_phi + np.pi) % (2 * np.pi) - np.pi
    return np.hypot(eta - other_eta, d_phi)
