"""PELICAN with gradients on the CPU: between layers only messages are stored, T is computed again.

`layer` and the sweeps it calls do the work on pairs. Sums of messages become the terms of the next layer in
`node_terms`; the scalars' terms, the readout, the head and all coefficients are left to torch and its autograd.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ....layers.aggregates import Aggregation
from ....layers.equivariant_1to2 import Equivariant1to2
from ....layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from ....layers.segments import segment_sum
from ...common.cpu.jet_groups import JetGroups
from ...common.dropout import drop_of
from ..dropout import message_keys
from ..network import PelicanNetwork
from .batch_norm import scale_and_shift
from .layer import Batch, encoded_messages, next_messages, total_channels
from .node_terms import terms_of

__all__ = ["logits"]


def logits(model: PelicanNetwork, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Outputs of a float32 `PELICAN` that is not IRC-safe, training or not; arguments as for ``network``.

    Gradients go to the parameters and to the scalars.

    Returns
    -------
    Tensor of float32, shape (J, n_classes), or (N, B) for momenta
        Logits, or the weights of each node.
    """
    products = np.ascontiguousarray(products_QR.detach().numpy(), np.float64)
    batch = Batch(JetGroups.of(offsets), products, len(model.encoder.alpha))
    nodes, keys = _Nodes(offsets), message_keys(model)
    power = 1e-6 + model.encoder.alpha**2
    terms = nodes.scalar_terms(model.scalars_to_pairs, scalars_NS, len(power))
    embedding = model.embedding.weight, model.embedding.bias, power
    last, *layers = model.messages
    messages = encoded_messages(batch, terms, embedding, last.linear, keys[0], drop_of(last.dropout))
    for layer, block, key in zip(layers, model.blocks, keys[1:], strict=True):
        norm = scale_and_shift(last.norm, messages.moments, batch.num_pairs, drop_of(last.dropout))
        coefficients = block.mixing()
        terms = terms_of(block, coefficients, batch.groups, messages.sums, messages.counts, norm)
        drop = drop_of(layer.dropout)
        messages = next_messages(batch, messages, norm, terms, coefficients[:2], layer.linear, key, drop)
        last = layer
    scale, shift = scale_and_shift(last.norm, messages.moments, batch.num_pairs, drop_of(last.dropout))
    depth = len(scale)
    sums_N3D = messages.sums[..., :depth] * scale + messages.counts[..., :depth] * shift
    out: Tensor = model.head(nodes.readout(model.readout, sums_N3D))
    return out


class _Nodes:
    """What is done with nodes and jets.

    Parameters
    ----------
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    """

    def __init__(self, offsets: Tensor) -> None:
        self.offsets, self.counts = offsets, offsets.diff()
        self.jet = torch.repeat_interleave(torch.arange(len(self.counts)), self.counts)

    def scalar_terms(self, layer: Equivariant1to2 | None, scalars_NS: Tensor | None, encoded: int) -> Tensor:
        """u, v and d of the 1→2 layer, (3, N, W) in float32, 0 in the encoder's channels and in padding."""
        if layer is None or scalars_NS is None:
            return torch.zeros(3, len(self.jet), total_channels(encoded))
        scalars = scalars_NS.double()
        whole = self._over_jets(layer.aggregation, scalars[:, None]).expand(-1, 2, -1)
        own = scalars[:, None].expand(-1, 3, -1)
        if layer.power is not None:
            factors = layer.power(self.counts).transpose(1, 2)
            own, whole = own * factors[:, [2, 1, 0]][self.jet], whole * factors[:, [4, 3]]
        matrix = layer.mixing().double()
        u, v, d = own.transpose(0, 1) @ matrix[[2, 1, 0]]
        of_all, of_diagonal = (whole.transpose(0, 1) @ matrix[[4, 3]])[:, self.jet]
        terms = torch.stack([u + of_all + layer.bias, v, (d + of_diagonal) * layer.diagonal])
        channels = encoded + terms.shape[2]
        return nn.functional.pad(terms.float(), (encoded, total_channels(channels) - channels))

    def readout(self, layer: Equivariant2to0 | Equivariant2to1, sums_N3D: Tensor) -> Tensor:
        """The 2→0 layer, (J, S), or the 2→1 layer, (N, S)."""
        how, of_nodes = layer.aggregation, isinstance(layer, Equivariant2to1)
        diagonal, column, row = sums_N3D.unbind(1)
        norm = how.norm(self.counts)
        row, column = (x / (norm if isinstance(norm, float) else norm[self.jet]) for x in (row, column))
        total, trace = self._over_jets(how, torch.stack([row, diagonal], dim=1)).unbind(1)
        if of_nodes:
            operations = torch.stack([diagonal, row, column, trace[self.jet], total[self.jet]], dim=2)
        else:
            operations = torch.stack([total, trace], dim=2)
        if layer.power is not None:
            factors = layer.power(self.counts)
            operations = operations * (factors[self.jet] if of_nodes else factors)
        mixed = torch.einsum("jdb,bds->js", nn.functional.leaky_relu(operations), layer.mixing().double())
        return (mixed + layer.bias).float()

    def _over_jets(self, how: Aggregation, nodes_NKD: Tensor) -> Tensor:
        """Aggregates over each jet, (J, K, D)."""
        flat = segment_sum(nodes_NKD.flatten(1), self.offsets)
        norm = how.norm(self.counts)
        return (flat / norm).view(-1, *nodes_NKD.shape[1:])
