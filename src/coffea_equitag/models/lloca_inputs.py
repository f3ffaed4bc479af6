"""What LLoCa's networks see of jets: constituents with a least mass, and reference vectors before them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..jets.ragged import RaggedJets

__all__ = ["reference_vectors", "with_least_mass", "with_references"]

#: (px, py, pz, mass) of the two beams and of the time direction.
_REFERENCES = ((0.0, 0.0, 1.0, 0.0), (0.0, 0.0, -1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def reference_vectors(least_mass: float) -> tuple[Tensor, Tensor]:
    """The beams (1, 0, 0, ±1) and the time direction (1, 0, 0, 0), of the least mass: (3, 4), and their masses (3,)."""
    given = torch.tensor(_REFERENCES, dtype=torch.float64)
    mass = given[:, 3].clamp(min=least_mass)
    energy = (given[:, :3].square().sum(1) + mass.square()).sqrt()
    return torch.cat([energy[:, None], given[:, :3]], dim=1), mass


def with_least_mass(jets: RaggedJets, least_mass: float) -> RaggedJets:
    """Constituents that are lighter get this mass, and the energy that goes with it; momenta stay."""
    light = jets.mass < least_mass
    energy = (jets.p4[:, 1:].square().sum(1) + least_mass**2).clamp(min=1e-300).sqrt()
    p4 = torch.cat([torch.where(light, energy, jets.p4[:, 0])[:, None], jets.p4[:, 1:]], dim=1)
    return replace(jets, p4=p4, mass=torch.where(light, least_mass, jets.mass))


def with_references(jets: RaggedJets, least_mass: float, beams: Tensor | None = None) -> RaggedJets:
    """Put the references before each jet's constituents.

    Parameters
    ----------
    jets : RaggedJets
        The batch.
    least_mass : float
        Mass of the beams, GeV.
    beams : Tensor, shape (3, 4), optional
        The references where they are not `reference_vectors`: transformed together with the jets.
    """
    usual, mass = reference_vectors(least_mass)
    front = usual if beams is None else beams
    return jets.prepend(front.to(jets.p4), mass.to(jets.p4))
