"""PFN with gradients on the CPU: Φ and its sums fused; the patch, and what has a row per jet, left to torch.

Gradients of weights are summed over groups of jets, which do not depend on the number of threads, and then over the
groups in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from ....jet_model import JetModel
from .phi_network import PhiNetwork
from .phi_rows import Groups

__all__ = ["logits"]


def logits(model: JetModel, features_NF: Tensor, offsets: Tensor, groups_NG: Tensor | None) -> Tensor:
    """As `inference.logits`, with gradients, those of the inputs among them; each BatchNorm in training mode or not."""
    network: Any = model
    groups = Groups.of(np.ascontiguousarray(offsets.numpy()))
    norms = [norm for norm in network.phi[1::3] if isinstance(norm, nn.BatchNorm1d)]
    parameters = [p for linear in network.phi[::3] for p in (linear.weight, linear.bias)]
    affine = [p for norm in norms for p in (norm.weight, norm.bias)]
    nodes = features_NF.new_zeros(len(features_NF), 0) if groups_NG is None else network.node_patch(groups_NG)
    run: Callable[..., Tensor] = PhiNetwork.apply
    sums = run(norms, groups, network.input_norm(features_NF), nodes, *parameters, *affine)
    found: Tensor = network.f(sums)
    return found
