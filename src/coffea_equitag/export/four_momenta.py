"""From the columns that an exported graph is given to four-momenta, by the rules of `coffea_equitag.jets`."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

__all__ = ["COORDINATES", "Coordinates", "Momenta", "momenta"]

#: The coordinates in which a graph takes momenta: (pT, η, φ, m) or (px, py, pz, m); GeV.
Coordinates = Literal["polar", "cartesian"]
COORDINATES: dict[Coordinates, tuple[str, ...]] = {
    "polar": ("pt", "eta", "phi", "mass"),
    "cartesian": ("px", "py", "pz", "mass"),
}


class Momenta(NamedTuple):
    """Four-momenta (..., 4), masses (...,), (pT, η, φ) (..., 3) if given, and which are none, being 0 (...,)."""

    p4: Tensor
    mass: Tensor
    polar: Tensor | None
    exists: Tensor


def momenta(given: Tensor, coordinates: Coordinates) -> Momenta:
    """From (..., 4) numbers, float64; a negative mass is 0, a constituent without momentum is padding."""
    mass = given[..., 3].clamp(min=0.0)
    if coordinates == "cartesian":
        three = given[..., :3]
        exists = (three != 0).any(-1)
    else:
        pt, eta, phi = given[..., :3].unbind(-1)
        grown = torch.exp(eta)
        three = torch.stack([pt * torch.cos(phi), pt * torch.sin(phi), pt * 0.5 * (grown - 1 / grown)], dim=-1)
        exists = pt > 0
    mass = torch.where(exists, mass, 0.0)
    three = torch.where(exists[..., None], three, 0.0)
    energy = (three.square().sum(-1) + mass.square()).sqrt()
    polar = None if coordinates == "cartesian" else torch.where(exists[..., None], given[..., :3], 0.0)
    return Momenta(torch.cat([energy[..., None], three], dim=-1), mass, polar, exists)
