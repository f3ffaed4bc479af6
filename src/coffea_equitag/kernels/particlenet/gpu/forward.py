"""ParticleNet's edge convolution: the edges of a few constituents pass through all layers in registers."""

from __future__ import annotations

import triton
import triton.language as tl

from ...common.gpu.arithmetic import product, relu
from ...common.gpu.tiles import JetTiles, own_tile
from .weights import EdgeLayers

__all__ = ["EDGES", "edge_conv_kernel"]

#: Precision -> edges worked on at once.
EDGES = {"ieee": 16, "tf32x3": 64, "tf32": 64, "bf16": 64}


@triton.jit
def edge_conv_kernel(
    first_layer: tl.tensor,
    senders: tl.tensor,
    shortcut: tl.tensor,
    shortcut_stride: tl.tensor,
    pairs: tl.tensor,
    pair_layer: tl.tensor,
    layers: EdgeLayers,
    tiles: JetTiles,
    out: tl.tensor,
    NEIGHBOURS: tl.constexpr,
    PHANTOMS: tl.constexpr,
    PRECISION: tl.constexpr,
    CHANNELS: tl.constexpr,
    CHUNK: tl.constexpr,
    EXTRA: tl.constexpr,
    BE: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BK: tl.constexpr,
) -> None:
    """One convolution of some constituents of one jet; BatchNorm is in all weights.

    Parameters
    ----------
    first_layer : (N, 2 CHANNELS)
        Each constituent's part of the first layer as receiver and as sender.
    senders : (N, NEIGHBOURS), int32
        Neighbours, counted within the jet, −1 for none: with PHANTOMS a phantom, whose features are 0.
    shortcut : (N, CHANNELS) within rows of `shortcut_stride`
        What the mean over the edges is added to.
    pairs, pair_layer : (N, NEIGHBOURS, EXTRA), (EXTRA, CHANNELS)
        The pairwise patch's features of each edge, and the first layer's part of them; EXTRA is 0 without a patch.
    layers : EdgeLayers
        The other layers, (CHANNELS, CHANNELS), inputs first.
    out : (N, CHANNELS)
        ReLU of the sum.
    """
    _, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    edge, c = tl.arange(0, BK), tl.arange(0, CHANNELS)
    for group in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = group + tl.arange(0, BI)
        known = (i < n)[:, None] & (edge < NEIGHBOURS)[None, :]
        sender = tl.load(senders + (start + i)[:, None] * NEIGHBOURS + edge[None, :], mask=known, other=-1)
        real = sender >= 0
        counted = known if PHANTOMS else real
        own = first_layer + (start + i) * (2 * CHANNELS)
        other = first_layer + (start + sender) * (2 * CHANNELS) + CHANNELS
        if EXTRA > 0:
            e = tl.arange(0, BE)
            place = ((start + i)[:, None] * NEIGHBOURS + edge[None, :])[:, :, None] * EXTRA + e[None, None, :]
            given = tl.load(pairs + place, mask=real[:, :, None] & (e < EXTRA)[None, None, :], other=0.0)
            features = tl.reshape(given, (BI * BK, BE))
        total = tl.zeros((BI * BK, CHANNELS), tl.float32)
        for middle in range(0, CHANNELS, CHUNK):
            m = middle + tl.arange(0, CHUNK)
            hidden = tl.zeros((BI * BK, CHUNK), tl.float32)
            for begin_k in range(0, CHANNELS, CHUNK):
                k = begin_k + tl.arange(0, CHUNK)
                here = tl.load(own[:, None] + k[None, :], mask=(i < n)[:, None], other=0.0)[:, None, :]
                there = tl.load(other[:, :, None] + k[None, None, :], mask=real[:, :, None], other=0.0)
                z = tl.reshape(here + there, (BI * BK, CHUNK))
                if EXTRA > 0:
                    matrix = pair_layer + e[:, None] * CHANNELS + k[None, :]
                    z = product(features, tl.load(matrix, mask=(e < EXTRA)[:, None], other=0.0), z, PRECISION)
                x = relu(z)
                hidden = product(x, tl.load(layers.second + k[:, None] * CHANNELS + m[None, :]), hidden, PRECISION)
            hidden = relu(hidden + tl.load(layers.second_bias + m)[None, :])
            total = product(hidden, tl.load(layers.third + m[:, None] * CHANNELS + c[None, :]), total, PRECISION)
        total = tl.reshape(relu(total + tl.load(layers.third_bias + c)[None, :]), (BI, BK, CHANNELS))
        count = tl.maximum(tl.sum(counted.to(tl.int32), axis=1), 1).to(tl.float32)
        mean = tl.sum(tl.where(counted[:, :, None], total, 0.0), axis=1) / count[:, None]
        row = (start + i)[:, None]
        mean += tl.load(shortcut + row * shortcut_stride + c[None, :], mask=(i < n)[:, None], other=0.0)
        tl.store(out + row * CHANNELS + c[None, :], relu(mean), mask=(i < n)[:, None])
