"""Particle Transformer's evaluation on the CPU: groups of jets pass through the whole network.

About 512 constituents go through all blocks together, so that weights come from memory once per group and rows stay in
the cache. Every row is summed in one order and attends to its own jet alone: its logits are the same to the last bit
whatever jets stand beside it and however many threads there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, I8
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ....jets.ragged import RaggedJets
from .forward import attend_block, embed, head_of_tokens
from .pair_bias import bias_of_pairs
from .pair_features import pair_features, triangle_offsets
from .weights import ParticleTransformerWeights, bf16_weights_of, weights_of
from .workspace import Workspace, workspace_of

__all__ = ["logits", "logits_from_jets"]

#: Constituents of a group, unless a jet has more.
_GROUP = 512
#: What a constituent costs, in the pairs that threads are given.
_PAIRS = 100
_NO_PAIRS = np.empty((0, 4), np.float32)


def logits(
    model: JetModel, features_NF: Tensor, offsets: Tensor, pairs_T4: Tensor | None, *, bf16: bool = False
) -> Tensor:
    """Logits of a float32 `ParticleTransformer` in evaluation mode; arguments as for its ``network``.

    With `bf16` the layers of the constituents' blocks multiply so.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    pairs = _NO_PAIRS if pairs_T4 is None else pairs_T4.detach().float().contiguous().numpy()
    return _logits(model, features_NF, np.ascontiguousarray(offsets.numpy()), pairs, bf16)


def logits_from_jets(model: JetModel, jets: RaggedJets, *, bf16: bool = False) -> Tensor:
    """The same directly from jets, in any order."""
    network: Any = model
    pairs = _NO_PAIRS if network.pair_bias is None else pair_features(jets, torch.get_num_threads())
    return _logits(model, network.features(jets), np.ascontiguousarray(jets.offsets.numpy()), pairs, bf16)


def _logits(model: JetModel, features_NF: Tensor, offsets: I8, pairs: F4, bf16: bool) -> Tensor:
    weights = bf16_weights_of(model) if bf16 else weights_of(model)
    features = np.ascontiguousarray(features_NF.detach().numpy(), np.float32)
    squares, triangles = pair_offsets(offsets), triangle_offsets(offsets)
    out = np.empty((len(offsets) - 1, model.n_classes), np.float32)
    groups = _groups(offsets)

    def run(first: int, last: int) -> None:
        edges = groups[first : last + 1]
        rows, jets, most = (int(np.diff(of).max()) for of in (offsets[edges], edges, squares[edges]))
        work = workspace_of(weights, rows, jets, most)
        for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            own = pairs[triangles[a] : triangles[b]]
            _score(weights, features, own, offsets[a : b + 1], work, out[a:b])

    if len(groups) > 1:
        over_jets(run, (offsets * _PAIRS)[groups], torch.get_num_threads())
    return torch.from_numpy(out)


def _score(weights: ParticleTransformerWeights, features: F4, pairs: F4, offsets: I8, work: Workspace, out: F4) -> None:
    """Logits of one group, whose boundaries these are; `pairs` are its own."""
    begin, offsets = int(offsets[0]), offsets - offsets[0]
    embed(weights.embedding, features, begin, int(offsets[-1]), work)
    if weights.pairs.layers:
        bias_of_pairs(weights.pairs, pairs, offsets, work)
    for block in weights.blocks:
        attend_block(block, offsets, work, False)
    work.tokens[: len(out)] = weights.head.token
    for block in weights.class_blocks:
        attend_block(block, offsets, work, True)
    head_of_tokens(weights.head, len(out), work, out)


def _groups(offsets: I8) -> I8:
    """The first jet of each group, and the number of jets."""
    jets = len(offsets) - 1
    starts = np.searchsorted(offsets, np.arange(0, max(int(offsets[-1]), 1), _GROUP))
    return np.unique(np.minimum([*starts.tolist(), 0, jets], jets))
