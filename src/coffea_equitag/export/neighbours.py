"""Nearest neighbours and friend groups in padded jets, by sorting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .padded_jets import PaddedJets

__all__ = ["by_pt", "friend_scalars", "nearest"]

#: Points of more coordinates than this have their distances from products: the differences would not fit into memory.
_FEW = 8


def by_pt(jets: PaddedJets) -> PaddedJets:
    """Constituents in order of pT, padding last, so that stable sorting gives ties to the larger pT, then the row."""
    pt = torch.hypot(jets.p4[..., 1], jets.p4[..., 2])
    order = torch.sort(torch.where(jets.real, pt, -1.0), dim=1, descending=True, stable=True).indices

    def sorted_(values: Tensor) -> Tensor:
        wide = order.view(*order.shape, *[1] * (values.ndim - 2)).expand_as(values)
        return values.gather(1, wide)

    return PaddedJets(
        p4=sorted_(jets.p4),
        mass=sorted_(jets.mass),
        real=sorted_(jets.real),
        jet_p4=jets.jet_p4,
        polar=None if jets.polar is None else sorted_(jets.polar),
        columns={name: sorted_(column) for name, column in jets.columns.items()},
    )


def nearest(points_JWD: Tensor, jets: PaddedJets, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest neighbours of each constituent of jets in order of pT, as `invariants.nearest` finds them.

    Returns
    -------
    tuple of Tensor, shape (J, W, k)
        Places of the neighbours, and which of them exist.
    """
    distance = torch.where(jets.between(), _distances(points_JWD.double()), torch.inf)
    found = torch.sort(distance, dim=2, stable=True).indices[..., :k]
    exists = torch.arange(k) < (jets.counts - 1)[:, None, None]
    return found, exists & jets.real[..., None]


def _distances(points: Tensor) -> Tensor:
    if points.shape[2] <= _FEW:
        return (points[:, :, None] - points[:, None]).square().sum(3)
    square = points.square().sum(2)
    return (square[:, :, None] + square[:, None] - 2 * points @ points.mT).clamp(min=0)


def friend_scalars(kind: str, jets: PaddedJets, sizes: Sequence[int], gram_JWW: Tensor) -> Tensor:
    """m²_G (GeV²) or E_G (GeV) of friend groups, (J, W, len(sizes)), as `invariants.friends` defines them."""
    most = max(sizes)
    # ties go to the larger p_j·P, then to the earlier row: constituents in that order, sorted stably
    both = jets.real[:, :, None] & jets.real[:, None]
    hardness = torch.where(jets.real, gram_JWW.sum(2), -torch.inf)
    order = torch.sort(hardness, dim=1, descending=True, stable=True).indices
    products = torch.where(both, gram_JWW, -torch.inf).gather(2, order[:, None].expand_as(gram_JWW))
    rank = torch.sort(products, dim=2, descending=True, stable=True).indices[..., :most]
    friend = order[:, None].expand_as(gram_JWW).gather(2, rank)
    exists = torch.arange(most) < jets.counts[:, None, None]
    if kind == "energy":
        energy = torch.where(exists, jets.p4[..., 0][:, None].expand_as(gram_JWW).gather(2, friend), 0.0)
        return torch.stack([energy[..., :size].sum(2) for size in sizes], dim=2)
    mass2 = _mass2(gram_JWW, friend, exists)
    return torch.stack([mass2[..., :size, :size].sum((2, 3)) for size in sizes], dim=2)


def _mass2(gram: Tensor, friend: Tensor, exists: Tensor) -> Tensor:
    """p_a·p_b of the members of each group: (J, W, K, K)."""
    j, w, k = friend.shape
    rows = gram.gather(1, friend.flatten(1)[..., None].expand(-1, -1, w)).view(j, w, k, w)
    found = rows.gather(3, friend[:, :, None].expand(-1, -1, k, -1))
    return torch.where(exists[..., None] & exists[:, :, None], found, 0.0)
