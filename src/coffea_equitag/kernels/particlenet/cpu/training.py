"""ParticleNet with gradients on the CPU: the edge network fused, the constituents' layers left to torch.

Sums over edges are taken in groups of jets which do not depend on the number of threads, then over groups in their
order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ....layers.edge_conv import EdgeConv
from ....layers.segments import segment_mean
from .edge_groups import EdgeGroups
from .edge_network import EdgeNetwork
from .nearest import edge_offsets, nearest_senders

__all__ = ["logits"]


def logits(
    model: JetModel,
    features_N7: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    nodes_NE: Tensor | None,
    edges_of: None = None,
) -> Tensor:
    """As `inference.logits`, with gradients, without the pairwise patch; each BatchNorm in training mode or not."""
    network: Any = model
    bounds = np.ascontiguousarray(offsets.numpy())
    squares, edges = pair_offsets(bounds), edge_offsets(bounds, model.options["k"])
    first = np.zeros(len(features_N7)) if priority is None else priority.detach().double().contiguous().numpy()
    x, points = network.input_norm(features_N7), points_N2.double()
    for block in network.blocks:
        sender = np.empty(edges[-1], np.int64)
        places = points.detach().contiguous().numpy()
        seek = partial(nearest_senders, places, places.shape[1], first, bounds, edges, sender)
        over_jets(seek, squares, torch.get_num_threads())
        inputs = x if nodes_NE is None else torch.cat([x, nodes_NE], dim=1)
        x = points = _convolve(block, inputs, EdgeGroups.of(bounds, edges, sender))
    found: Tensor = network.head(segment_mean(x, offsets))
    return found


def _convolve(block: EdgeConv, x_NF: Tensor, edges: EdgeGroups) -> Tensor:
    """`EdgeConv.forward` without pair features, in either mode; running statistics are kept as torch keeps them."""
    first = block.linears[0].weight
    assert isinstance(first, Tensor)
    a, b = torch.split(first, x_NF.shape[1], dim=1)
    norms = [norm for norm in block.norms if isinstance(norm, nn.BatchNorm1d)]
    later = [linear.weight for linear in block.linears[1:]]
    affine = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    run: Callable[..., Tensor] = EdgeNetwork.apply
    mean = run(norms, edges, x_NF @ (a - b).T, x_NF @ b.T, *affine, *later)
    return torch.relu(block.shortcut(x_NF) + mean)
