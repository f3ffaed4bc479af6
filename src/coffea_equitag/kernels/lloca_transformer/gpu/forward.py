"""LLoCa-Transformer on a GPU; how dense layers and vectors of frames are computed, inference and training say.

The network's own methods do what takes a few float64 numbers per constituent: features, frames from vectors, γ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ....jets.ragged import RaggedJets
from ....layers.frame_prediction import frames_of_sums
from ....layers.squares import Squares
from ....layers.tensorial_attention import LocalFrames
from ...common.gpu.attention_function import ATTENTION_ROWS, attention
from ...common.gpu.row_layers import RowLayer
from ...common.gpu.tiles import Tiles
from .carry import carried
from .weights import BlockWeights, FrameWeights

__all__ = ["Dense", "Vectors", "channels", "local_frames"]

#: f(x W + b), (M, K) to (M, W), f being "gelu" or "none", and what is added to it, if anything.
Dense: TypeAlias = Callable[[Tensor, RowLayer, str, Tensor | None], Tensor]
#: The vectors (3, N, 4) of frames and their squares (3, N), from what the first layer makes of scalars of
#: constituents and of nodes.
Vectors: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def local_frames(
    model: Any,
    weights: FrameWeights,
    given: tuple[RaggedJets, Tensor, Tensor, Tensor],
    vectors: Vectors,
    dense: Dense,
) -> tuple[Tensor, LocalFrames]:
    """What the embedding sees of constituents in their frames, (N, S + 7), and the frames as attention uses them.

    `given` are the network's inputs but for the products: jets, columns, momenta of nodes at rest and totals.
    """
    jets, own_NS, rest_M4, total_J4 = given
    references = model.extra_nodes
    nodes = Squares.of(jets.offsets + references * torch.arange(jets.num_jets + 1, device=jets.device))
    scalars, is_own = model.node_scalars(jets, own_NS, total_J4, nodes), model.is_own(nodes)
    found = vectors(dense(scalars[is_own], weights.received, "none", None), dense(scalars, weights.sent, "none", None))
    counts = (jets.counts + references).repeat_interleave(jets.counts)
    own_N4 = rest_M4[is_own]
    seen: tuple[Tensor, LocalFrames] = model.seen(jets, own_NS, own_N4, frames_of_sums(*found, own_N4, counts))
    return seen


def channels(
    model: Any, blocks: tuple[BlockWeights, ...], h_NC: Tensor, frames: LocalFrames, offsets: Tensor, dense: Dense
) -> Tensor:
    """Channels (N, C) of the constituents after all blocks."""
    options = model.options
    sizes, heads = (options["scalars"], options["vectors"], options["tensors"]), options["heads"]
    size, tiles = sizes[0] + 4 * sizes[1] + 16 * sizes[2], Tiles.of(offsets, ATTENTION_ROWS)
    for weights in blocks:
        qkv = dense(h_NC, weights.inputs, "none", None).view(len(h_NC), 3, heads, size)
        query, key, value = carried(qkv, frames.to_common, sizes).unbind(1)
        attended = carried(attention(query, key, value, tiles)[:, None], frames.to_local, sizes).flatten(1)
        h_NC = dense(attended, weights.outputs, "none", h_NC)
        h_NC = dense(dense(h_NC, weights.first, "gelu", None), weights.second, "none", h_NC)
    return h_NC
