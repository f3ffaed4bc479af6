"""Gram matrices of ragged batches, as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..jets.kinematics import FourMomenta
from ..jets.ragged import LOG_SCALE, RaggedJets, boundaries
from .minkowski import pairwise_products

__all__ = ["gram"]


def gram(jets: RaggedJets) -> Tensor:
    """p_i·p_j of all pairs within each jet, numerically stable (see `minkowski`), computed on the CPU.

    Gradients flow to the scales of `RaggedJets.scaled`, and to nothing else.

    Returns
    -------
    Tensor of float64, shape (Q,)
        One n × n row-major block per jet, with m_i² on its diagonal; GeV²; on the jets' device.
    """
    momenta = FourMomenta(
        p4=np.ascontiguousarray(jets.p4.detach().cpu().numpy()),
        mass=np.ascontiguousarray(jets.mass.detach().cpu().numpy()),
        polar=None if jets.polar is None else jets.polar.detach().cpu().numpy(),
    )
    products_Q = torch.from_numpy(pairwise_products(momenta, jets.offsets.cpu().numpy())).to(jets.device)
    log_scale = jets.columns.get(LOG_SCALE)
    return products_Q if log_scale is None else products_Q * _pair_factors(log_scale, jets.offsets)


def _pair_factors(log_scale_N: Tensor, offsets: Tensor) -> Tensor:
    """1 for each pair, with the derivative of the product of both scales: (Q,)."""
    change_N = log_scale_N - log_scale_N.detach()
    counts = offsets.diff()
    n = torch.repeat_interleave(counts, counts)
    first = torch.repeat_interleave(torch.arange(len(n), device=offsets.device), n)
    start = torch.repeat_interleave(boundaries(n)[:-1], n)
    second = torch.repeat_interleave(offsets[:-1], counts)[first] + torch.arange(len(first), device=n.device) - start
    return torch.exp(change_N[first] + change_N[second])
