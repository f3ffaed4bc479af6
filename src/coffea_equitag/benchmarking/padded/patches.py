"""What Lorentz-symmetric patches see, in plain torch on padded momenta."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...jets.ragged import RaggedJets
from .masking import pad

__all__ = ["friend_form", "pair_form"]


def friend_form(
    kind: str, sizes: Sequence[int], jets: RaggedJets, mask: Tensor, dtype: torch.dtype
) -> Callable[[], Tensor]:
    """Function that computes m² or energies of friend groups, (J, width, len(sizes)), from padded momenta in `dtype`.

    The groups by topk on a matrix of products, their momenta by gathering.
    """
    momenta, metric = pad(jets.p4.to(dtype), mask), _metric(jets, dtype)

    def scalars() -> Tensor:
        products = ((momenta * metric) @ momenta.mT).masked_fill(~mask[:, None], -torch.inf)
        most = min(max(sizes), mask.shape[1])
        found = products.topk(most, dim=2)
        index = found.indices.flatten(1)[..., None].expand(-1, -1, 4)
        friends = momenta.gather(1, index).view(*mask.shape, most, 4) * found.values.isfinite()[..., None].to(dtype)
        sums = friends.cumsum(2)[:, :, [min(size, most) - 1 for size in sizes]]
        return (sums.square() * metric).sum(-1) if kind == "mass" else sums[..., 0]

    return scalars


def pair_form(kind: str, jets: RaggedJets, mask: Tensor, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Function that computes the pairwise patch's numbers of all pairs, (J, width, width), from padded momenta."""
    momenta, metric = pad(jets.p4.to(dtype), mask), _metric(jets, dtype)
    momenta[~mask] = momenta.new_tensor([1.0, 1.0, 0.0, 0.0])

    def scalars() -> Tensor:
        if kind in ("mass", "energy"):
            sums = momenta[:, :, None] + momenta[:, None]
            return (sums.square() * metric).sum(-1) if kind == "mass" else sums[..., 0]
        pt = torch.hypot(momenta[..., 1], momenta[..., 2])
        eta, phi = torch.asinh(momenta[..., 3] / pt), torch.atan2(momenta[..., 2], momenta[..., 1])
        d_phi = torch.remainder(phi[:, :, None] - phi[:, None] + math.pi, 2 * math.pi) - math.pi
        delta_r = torch.hypot(eta[:, :, None] - eta[:, None], d_phi)
        return delta_r if kind == "delta_r" else delta_r * (pt[:, :, None] + pt[:, None])

    return scalars


def _metric(jets: RaggedJets, dtype: torch.dtype) -> Tensor:
    return jets.p4.new_tensor([1.0, -1.0, -1.0, -1.0], dtype=dtype)
