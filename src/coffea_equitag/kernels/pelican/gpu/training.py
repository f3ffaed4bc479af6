"""PELICAN with gradients on a GPU: between layers only messages are kept, all that is wide is made again.

Pairs are the affair of `pelican_layer`. Between the way forth and the way back each message layer keeps 4 bytes a pair
and channel of the message, its D before BatchNorm in float32, D rounded up to a multiple of 4 (64 bytes a pair and
block of the network of 11k weights, 144 of 48k, 320 of 208k); what dropout keeps is found again from a hash. On the way
back there are three such arrays more at a time, the same for all layers. What acts on nodes and jets, from sums of
messages to the terms of the next layer, BatchNorm's statistics, the last layers and all coefficients, is left to torch
and its autograd.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ....jets.ragged import boundaries
from ....layers.equivariant_2to2 import Equivariant2to2
from ....layers.equivariant_readout import Equivariant2to0
from ....layers.pair_message import PairMessage
from ...common.gpu.arithmetic import precision
from ...common.gpu.device import on_its_device
from ...common.gpu.tiles import RECEIVERS, Tiles
from ..dropout import drop_of, message_keys, threshold_of
from .batch_norm import scale_and_shift
from .layer import Batch, Draw, Messages, encoded_messages, next_messages
from .node_terms import block_terms, read_out, scalar_terms
from .weights import power_of_two, wide_channels

__all__ = ["logits"]


@on_its_device
def logits(model: Any, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Logits of a float32 `PELICAN` of classes that is not IRC-safe, in training or not; arguments as of ``network``.

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
    layers = [cast(PairMessage, message) for message in model.messages]
    tiles, counts = Tiles.of(offsets), offsets.diff()
    shares = boundaries(counts * ((counts + RECEIVERS - 1) // RECEIVERS))
    wide, chunk = wide_channels(model)
    batch = Batch(
        tiles=tiles,
        shares=shares,
        num_shares=int(shares[-1]),
        products=products_QR.contiguous(),
        encoded=len(model.encoder.alpha),
        narrow=power_of_two(model.message_channels),
        wide=wide,
        chunk=chunk,
        precision=precision(products_QR.device),
    )
    # of nodes that take part in nothing that is dropped: X_ii, and all of a column and of a row
    numbers = torch.stack([torch.ones_like(counts), counts, counts], dim=1).double()[tiles.node_jet, :, None]
    keys = message_keys(model)
    draws = [Draw(key, threshold_of(drop_of(layer.dropout))) for layer, key in zip(layers, keys, strict=True)]

    def normed(layer: PairMessage, messages: Messages) -> tuple[Tensor, Tensor, Tensor]:
        norm = scale_and_shift(layer.norm, messages.moments, tiles.num_pairs, drop_of(layer.dropout))
        return messages.sums, numbers if messages.counts is None else messages.counts, norm

    terms = None
    if model.scalars_to_pairs is not None and scalars_NS is not None:
        terms = scalar_terms(model.scalars_to_pairs, scalars_NS, tiles, batch.encoded, wide)
    embedding = model.embedding.weight, cast(Tensor, model.embedding.bias), 1e-6 + model.encoder.alpha**2
    messages = encoded_messages(batch, terms, embedding, layers[0].linear, draws[0])
    seen = normed(layers[0], messages)
    for layer, block, draw in zip(layers[1:], model.blocks, draws[1:], strict=True):
        assert isinstance(block, Equivariant2to2)
        coefficients = block.mixing()
        terms = block_terms(block, coefficients, tiles, *seen, wide)
        messages = next_messages(batch, messages, seen[2], terms, coefficients[:2], layer.linear, draw)
        seen = normed(layer, messages)
    out: Tensor = model.head(read_out(cast(Equivariant2to0, model.readout), tiles, *seen))
    return out
