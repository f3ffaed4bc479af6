"""PELICAN with gradients on a GPU: between layers only messages are stored, T is computed again.

`layer` and its kernels do the work on pairs. Between forward and backward each message layer keeps 4 bytes per pair
and channel of the message, D before BatchNorm in float32, rounded up to a multiple of 4 (64 bytes per pair and block
of the network of 11k weights, 144 of 48k, 320 of 208k); what dropout keeps is found again from a hash. The backward
pass needs three more such arrays at a time, the same for all layers. What acts on nodes and jets, from sums of
messages to the terms of the next layer, BatchNorm's statistics, the last layers and all coefficients, is left to torch
and its autograd.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ....jets.ragged import boundaries
from ....layers.equivariant_readout import Equivariant2to0
from ....layers.pair_message import PairMessage
from ...common.dropout import drop_of, threshold_of
from ...common.gpu.arithmetic import precision
from ...common.gpu.device import on_its_device
from ...common.gpu.tiles import RECEIVERS, Tiles
from ..dropout import message_keys
from ..network import PelicanNetwork
from .backward import TILES as TILES_BACKWARD
from .batch_norm import scale_and_shift
from .layer import Batch, Draw, Messages, encoded_messages, next_messages
from .node_terms import block_terms, read_out, scalar_terms
from .weights import shape_of

__all__ = ["logits"]


@on_its_device
def logits(model: PelicanNetwork, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Logits of a float32 `PELICAN` for classes that is not IRC-safe, training or not; arguments as for ``network``.

    Gradients go to the parameters and to the scalars.

    Parameters
    ----------
    model : PELICAN
        With at most 128 channels in a message.
    products_QR : Tensor of float64, shape (Q, R)
        Pair channels.
    scalars_NS : Tensor of float32, shape (N, S), or None
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries, spurions counted.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    tiles, counts = Tiles.of(offsets), offsets.diff()
    shares = boundaries(counts * ((counts + RECEIVERS - 1) // RECEIVERS))
    how = precision(products_QR.device)
    shape = shape_of(model, how, TILES_BACKWARD[how][0])
    batch = Batch(tiles, shares, int(shares[-1]), products_QR.contiguous(), shape)
    # of nodes that take part in nothing that is dropped: X_ii, and all of a column and of a row
    numbers = torch.stack([torch.ones_like(counts), counts, counts], dim=1).double()[tiles.node_jet, :, None]
    keys, (first, *layers) = message_keys(model), model.messages
    draws = [Draw(key, threshold_of(drop_of(layer.dropout))) for layer, key in zip(model.messages, keys, strict=True)]

    def normed(layer: PairMessage, messages: Messages) -> tuple[Tensor, Tensor, Tensor]:
        norm = scale_and_shift(layer.norm, messages.moments, tiles.num_pairs, drop_of(layer.dropout))
        return messages.sums, numbers if messages.counts is None else messages.counts, norm

    terms = None
    if model.scalars_to_pairs is not None and scalars_NS is not None:
        terms = scalar_terms(model.scalars_to_pairs, scalars_NS, tiles, shape.encoded, shape.wide)
    embedding = model.embedding.weight, model.embedding.bias, 1e-6 + model.encoder.alpha**2
    messages = encoded_messages(batch, terms, embedding, first.linear, draws[0])
    sums = normed(first, messages)
    for layer, block, draw in zip(layers, model.blocks, draws[1:], strict=True):
        coefficients = block.mixing()
        terms = block_terms(block, coefficients, tiles, *sums, shape.wide)
        messages = next_messages(batch, messages, sums[2], terms, coefficients[:2], layer.linear, draw)
        sums = normed(layer, messages)
    assert isinstance(model.readout, Equivariant2to0)
    out: Tensor = model.head(read_out(model.readout, tiles, *sums))
    return out
