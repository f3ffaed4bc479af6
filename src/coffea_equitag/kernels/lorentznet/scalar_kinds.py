"""Which edge scalars a block has: LorentzNet's two, or one or none of LorentzNet_base's. Equations: ``README.md``.

A scalar that is not there is 0, and so is its weight: the kernels always take two, ν and π.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...layers.lorentz_block import LorentzBlock
from ...layers.pairwise_block import PairwiseBlock

__all__ = [
    "DELTA_R",
    "DELTA_R_PT",
    "ENERGY",
    "INTERVAL",
    "MASS",
    "NOTHING",
    "coordinates_of",
    "kind_of",
    "of_coordinates",
    "of_gram",
    "source_of",
    "updates_vectors",
    "weights_of_scalars",
]

#: None; ψ(‖x_i − x_j‖²) and ψ(x_i·x_j); ψ(‖x_i + x_j‖²); and ψ of E_i + E_j, of ΔR_ij, of ΔR_ij (pT_i + pT_j).
NOTHING, INTERVAL, MASS, ENERGY, DELTA_R, DELTA_R_PT = range(6)

_PAIRWISE = {None: NOTHING, "mass": MASS, "energy": ENERGY, "delta_r": DELTA_R, "delta_r_pt": DELTA_R_PT}


def kind_of(block: nn.Module) -> int:
    """A block's."""
    return _PAIRWISE[block.pairwise] if isinstance(block, PairwiseBlock) else INTERVAL


def of_gram(kind: int) -> bool:
    """Whether the edge scalars are made of x_i·x_j, so that the vectors' step is one of the Gram matrices."""
    return kind in (INTERVAL, MASS)


def of_coordinates(kind: int) -> bool:
    """Whether they are made of each vector's `coordinates_of`, so that the vectors themselves take the step."""
    return kind >= ENERGY


def source_of(kind: int, gram_Q: Tensor, x_N4: Tensor) -> Tensor:
    """What they are made of: G (Q,), coordinates (N, 3), or nothing (0,); float64."""
    if of_gram(kind):
        return gram_Q
    return coordinates_of(kind, x_N4) if of_coordinates(kind) else gram_Q.new_empty(0)


def updates_vectors(block: LorentzBlock) -> bool:
    """Whether a block's φ_x has an effect: without edge scalars, nothing depends on the vectors."""
    return block.updates_vectors and block.phi_x is not None


def weights_of_scalars(block: LorentzBlock) -> Tensor:
    """The first edge layer's columns a and b, (C, 2): 0 for scalars that are not there."""
    weight = block.phi_e[0].weight
    assert isinstance(weight, Tensor)
    given = weight[:, 2 * len(weight) :]
    return given if given.shape[1] == 2 else nn.functional.pad(given, (0, 2 - given.shape[1]))


def coordinates_of(kind: int, x_N4: Tensor) -> Tensor:
    """Of each vector, (w, η, φ), of which the scalars of pairs are made: (w_i + w_j) ΔR_ij, or w_i + w_j for energies.

    Parameters
    ----------
    kind : int
        `ENERGY`: w = E, and no angles; `DELTA_R`: w = ½; `DELTA_R_PT`: w = pT.
    x_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz).

    Returns
    -------
    Tensor of float64, shape (N, 3)
    """
    if kind == ENERGY:
        return nn.functional.pad(x_N4[:, :1], (0, 2))
    pt = torch.hypot(x_N4[:, 1], x_N4[:, 2]).clamp(min=1e-30)
    weight = pt if kind == DELTA_R_PT else torch.full_like(pt, 0.5)
    return torch.stack([weight, torch.asinh(x_N4[:, 3] / pt), torch.atan2(x_N4[:, 2], x_N4[:, 1])], dim=1)
