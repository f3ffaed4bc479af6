"""Gram matrices of ragged batches, as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..jets.kinematics import FourMomenta
from ..jets.ragged import RaggedJets
from .minkowski import pairwise_products

__all__ = ["gram"]


def gram(jets: RaggedJets) -> Tensor:
    """p_i·p_j of all pairs within each jet, numerically stable (see `minkowski`), computed on the CPU.

    Returns
    -------
    Tensor of float64, shape (Q,)
        One n × n row-major block per jet, with m_i² on its diagonal; GeV²; on the jets' device.
    """
    momenta = FourMomenta(
        p4=np.ascontiguousarray(jets.p4.cpu().numpy()),
        mass=np.ascontiguousarray(jets.mass.cpu().numpy()),
        polar=None if jets.polar is None else jets.polar.cpu().numpy(),
    )
    return torch.from_numpy(pairwise_products(momenta, jets.offsets.cpu().numpy())).to(jets.device)
