"""LLoCa-Transformer's evaluation on the CPU.

Every sum runs over a jet's own constituents in their order, so its outputs are the same to the last bit whatever jets
stand beside it and however many threads there are.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, I8
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ....jets.ragged import RaggedJets
from ...common.cpu.row_layers import LINEAR, row_layer
from .forward import Jets, Network, apply_block, frame_jets, mean_rows, rows_for
from .pair_network import pair_buffers
from .weights import LLoCaWeights, weights_of

__all__ = ["jets_of", "logits", "network_of"]

#: What a constituent's channels cost, in the pairs that threads are given.
_PAIRS = 100
#: Constituents of a group: weights come from memory once per group, channels stay in cache.
_GROUP = 512


def logits(
    model: JetModel, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor
) -> Tensor:
    """Outputs of a float32 `LLoCaTransformer` in evaluation mode.

    Parameters
    ----------
    model : LLoCaTransformer
        Of the layers it is built of.
    jets : RaggedJets
        The constituents, float64.
    own_NS : Tensor of float32, shape (N, S)
        Their columns.
    rest_M4 : Tensor of float64, shape (M, 4)
        Momenta of all nodes, each jet's references before its constituents, in their rest frame.
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j of the nodes, square layout.
    total_J4 : Tensor of float64, shape (J, 4)
        Sums of the nodes in the laboratory.

    Returns
    -------
    Tensor of float32, shape (J, n_classes), or (N, 1) for momenta
    """
    given, network = jets_of(model, jets, own_NS, rest_M4, gram_Q, total_J4), network_of(model)
    weights = weights_of(model)
    out = np.empty((len(own_NS), 1) if network.per_constituent else (jets.num_jets, model.n_classes), np.float32)
    work = given.squares + _PAIRS * given.offsets
    over_jets(partial(_score, weights, network, given, out), work, torch.get_num_threads())
    return torch.from_numpy(out)


def _score(weights: LLoCaWeights, network: Network, jets: Jets, out: F4, first: int, last: int) -> None:
    """Outputs of the jets ``first:last``: logits, or one number per constituent."""
    offsets, groups = jets.offsets, _groups(jets.offsets, first, last)
    rows = max((int(offsets[until] - offsets[begin]) for begin, until in groups), default=0)
    nodes = int(np.diff(offsets[first : last + 1]).max(initial=0)) + network.references
    buffers, space = pair_buffers(nodes, len(weights.pairs.of_edge)), rows_for(weights, rows, nodes, jets.own.shape[1])
    means = np.empty((last - first, weights.head.weight.shape[1]), np.float32)
    for begin, until in groups:
        bounds = offsets[begin : until + 1] - offsets[begin]
        frame_jets(weights.received, weights.sent, weights.pairs, network, jets, begin, until, buffers, space)
        row_layer(space.seen, 0, weights.embedding, LINEAR, space.h, 0, bounds[-1])
        for block in weights.blocks:
            apply_block(block, network, bounds, space)
        if network.per_constituent:
            row_layer(space.h, 0, weights.head, LINEAR, out, offsets[begin], bounds[-1])
        else:
            mean_rows(space.h, bounds, means[begin - first :])
    if not network.per_constituent:
        row_layer(means, 0, weights.head, LINEAR, out, first, last - first)


def _groups(offsets: I8, first: int, last: int) -> list[tuple[int, int]]:
    """The jets ``first:last`` in groups of `_GROUP` constituents at most, or of one jet."""
    found = []
    while first < last:
        until = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _GROUP, side="right")) - 1)
        found.append((first, min(until, last)))
        first = found[-1][1]
    return found


def jets_of(
    model: JetModel, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor
) -> Jets:
    """Arrays of the same arguments."""
    bounds = np.ascontiguousarray(jets.offsets.numpy())
    p4, total, rest, gram = (
        np.ascontiguousarray(values.detach().numpy(), np.float64) for values in (jets.p4, total_J4, rest_M4, gram_Q)
    )
    own = np.ascontiguousarray(own_NS.detach().numpy(), np.float32)
    nodes = bounds + model.extra_nodes * np.arange(len(bounds))
    return Jets(bounds, p4, total, own, rest, gram, pair_offsets(nodes))


def network_of(model: JetModel) -> Network:
    """What is not weights."""
    options: Any = model.options
    return Network(
        model.extra_nodes,
        options["laboratory"],
        options["preserve_variance"],
        options["heads"],
        (options["scalars"], options["vectors"], options["tensors"]),
        model.output == "momentum",
    )
