"""ParticleNet with gradients on the CPU: the edge network fused, the constituents' layers and patches left to torch.

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
from .edge_groups import EdgeGroups
from .edge_network import EdgeNetwork
from .edge_scalars import EdgeScalars
from .nearest import edge_offsets, nearest_senders

__all__ = ["logits"]


def logits(
    model: JetModel,
    features_NF: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    groups_NG: Tensor | None,
    p4_N4: Tensor | None,
    gram_Q: Tensor | None,
) -> Tensor:
    """As `inference.logits`, with gradients, but not of momenta; each BatchNorm in training mode or not."""
    network: Any = model
    bounds = np.ascontiguousarray(offsets.numpy())
    squares, total, phantoms = pair_offsets(bounds), len(features_NF), model.options["phantom_neighbours"]
    first = np.zeros(total) if priority is None else priority.detach().double().contiguous().numpy()
    x, points, outputs = network.input_norm(features_NF), points_N2.double(), []
    nodes = None if groups_NG is None else network.node_patch(groups_NG)
    scalars = None if not network.pair_patches else EdgeScalars.of(model, p4_N4, gram_Q, bounds)
    for level, (block, k) in enumerate(zip(network.blocks, network.neighbours, strict=True)):
        edges = edge_offsets(bounds, k, phantoms)
        sender = np.full(edges[-1], total)
        places = points.detach().contiguous().numpy()
        seek = partial(nearest_senders, places, places.shape[1], first, bounds, edges, sender)
        over_jets(seek, squares, torch.get_num_threads())
        inputs, pairs = x if nodes is None else torch.cat([x, nodes], dim=1), x.new_empty(0, 0)
        if scalars is not None:
            pairs = network.pair_patches[level](torch.from_numpy(scalars.on(bounds, edges, sender)))
        is_last = level == len(network.blocks) - 1
        x = points = _convolve(block, is_last, inputs, pairs, EdgeGroups.of(bounds, edges, sender))
        outputs.append(x)
    found: Tensor = network.classify(outputs, offsets)
    return found


def _convolve(block: EdgeConv, is_last: bool, x_NF: Tensor, pairs_PE: Tensor, edges: EdgeGroups) -> Tensor:
    """`EdgeConv.forward` in either mode; running statistics are kept as torch keeps them."""
    first = block.linears[0].weight
    assert isinstance(first, Tensor)
    a, b, pair = torch.split(first, [x_NF.shape[1], x_NF.shape[1], block.n_pair], dim=1)
    norms = [norm for norm in block.norms if isinstance(norm, nn.BatchNorm1d)]
    later = [linear.weight for linear in block.linears[1:]]
    affine = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    run: Callable[..., Tensor] = EdgeNetwork.apply
    # one row more: phantoms
    ends = x_NF @ (a - b).T, nn.functional.pad(x_NF @ b.T, (0, 0, 0, 1))
    mean = run(norms, is_last, edges, *ends, pairs_PE, pair, *affine, *later)
    return torch.relu(block.shortcut(x_NF) + mean)
