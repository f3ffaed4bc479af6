"""One number per pair: the inputs of the pairwise patches of arXiv:2208.07814."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import TaggerError, explain

__all__ = ["PAIRWISE", "Pairwise", "check_pairwise", "pair_scalar"]

#: m²_ij is invariant under the Lorentz group, ΔR_ij and ΔR_ij (pT_i + pT_j) under rotations about the beam and (for
#: massless constituents) boosts along it; E_ij is a control that is invariant under rotations only.
Pairwise = Literal["mass", "delta_r", "delta_r_pt", "energy"]
PAIRWISE: tuple[Pairwise, ...] = get_args(Pairwise)


def check_pairwise(kind: str | None) -> None:
    """Reject an unknown `pairwise` option; None switches it off.

    Raises
    ------
    TaggerError
        If `kind` is not in `PAIRWISE`.
    """
    if kind is not None and kind not in PAIRWISE:
        raise TaggerError(
            explain(f"pairwise = {kind!r}", f"one of {', '.join(PAIRWISE)}, or None", "check the spelling")
        )


def pair_scalar(
    kind: str, p4_N4: Tensor, gram_Q: Tensor, receiver: Tensor, sender: Tensor, place: Tensor, diagonal: Tensor
) -> Tensor:
    """m²_ij, ΔR_ij, ΔR_ij (pT_i + pT_j) or E_ij of the given pairs; differentiable.

    Parameters
    ----------
    kind : str
        One of `PAIRWISE`.
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz), GeV; not used for "mass".
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j in the square layout; used for "mass" only.
    receiver, sender : Tensor of int64, shape (P,)
        Rows of i and j.
    place : Tensor of int64, shape (P,)
        Index of (i, j) in the square layout.
    diagonal : Tensor of int64, shape (N,)
        Index of (i, i) in the square layout.

    Returns
    -------
    Tensor of float64, shape (P,)
        m²_ij = (p_i + p_j)² = m_i² + m_j² + 2 p_i·p_j in GeV², an angle, or GeV.
    """
    check_pairwise(kind)
    if kind == "mass":
        square_N = gram_Q[diagonal]
        return square_N[receiver] + square_N[sender] + 2 * gram_Q[place]
    if kind == "energy":
        return p4_N4[receiver, 0] + p4_N4[sender, 0]
    pt = torch.hypot(p4_N4[:, 1], p4_N4[:, 2]).clamp(min=1e-30)
    eta, phi = torch.asinh(p4_N4[:, 3] / pt), torch.atan2(p4_N4[:, 2], p4_N4[:, 1])
    d_eta = eta[receiver] - eta[sender]
    d_phi = torch.remainder(phi[receiver] - phi[sender] + math.pi, 2 * math.pi) - math.pi
    # two objects from the same tower share a direction, where the square root has an infinite derivative
    delta_r = (d_eta.square() + d_phi.square()).clamp(min=1e-24).sqrt()
    return delta_r if kind == "delta_r" else delta_r * (pt[receiver] + pt[sender])
