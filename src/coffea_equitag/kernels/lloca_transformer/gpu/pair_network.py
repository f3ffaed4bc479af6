"""The perceptron of pairs that weighs the nodes in each constituent's three vectors, from scalars of both and m²_ij."""

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl
from torch import Tensor

from ....layers import frame_prediction
from ...common.gpu.activations import activated
from ...common.gpu.arithmetic import product
from ...common.gpu.tf32_split import halves, product_of_halves
from ...common.gpu.tiles import RECEIVERS
from .pair_tiles import Pairs, PairTiles, own_pairs, pair_square

__all__ = ["TILES", "PairLogits", "PairWeights", "pair_logits", "pair_logits_kernel"]

_LEAST = tl.constexpr(frame_prediction.LEAST_SQUARE_MASS)
_VECTORS = tl.constexpr(3)
#: Below all logits, where −∞ would leave −∞ − (−∞).
_LOWEST = tl.constexpr(-1e30)
#: Columns of the last layer as matrix products want them.
_COLUMNS = tl.constexpr(16)
#: Constituents and nodes that are worked on at once, and warps.
TILES = (4, 16, 4)


class PairWeights(NamedTuple):
    """Layers after the first, L of W inputs and outputs, padded with zeros, and the last."""

    of_edge: Any  # (W,): the first layer's, of log m²_ij
    hidden: Any  # (L, W, W), inputs first
    hidden_bias: Any  # (L, W)
    last: Any  # (W, 16)
    last_bias: Any  # (16,)


class PairLogits(NamedTuple):
    """What the softmax over j is made of."""

    logits: Any  # (R, 3): −∞ for i = j
    largest: Any  # (N, 3): at least as large as all of them
    total: Any  # (N, 3): Σ_j exp(logit − largest)
    edges: Any  # (R,): log m²_ij, standardised; only where it is wanted


@triton.jit
def pair_logits_kernel(
    gram: tl.tensor,
    received: tl.tensor,
    sent: tl.tensor,
    weights: PairWeights,
    tiles: PairTiles,
    out: PairLogits,
    mean: tl.tensor,
    std: tl.tensor,
    KEEP: tl.constexpr,
    REFERENCES: tl.constexpr,
    LAYERS: tl.constexpr,
    WIDTH: tl.constexpr,
    PRECISION: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """Logits of some constituents of one jet with all its nodes.

    Parameters
    ----------
    gram : (Q,), float64
        p_i·p_j of the nodes.
    received, sent : (nodes, WIDTH)
        What the first layer makes of the scalars of i, with the bias, and of j.
    mean, std
        What log m²_ij is standardised with.
    """
    start, node, square, pairs, n, nodes, begin = own_pairs(tiles, REFERENCES)
    w, column = tl.arange(0, WIDTH), tl.arange(0, _COLUMNS)
    of_edge = tl.load(weights.of_edge + w)
    for first in range(begin, tl.minimum(begin + RECEIVERS, n), BI):
        i = first + tl.arange(0, BI)
        real_i, of_i = i < n, i + REFERENCES
        to_i = tl.load(received + (start + i)[:, None] * WIDTH + w[None, :], mask=real_i[:, None], other=0.0)
        largest = tl.full((BI, _COLUMNS), _LOWEST, tl.float32)
        total = tl.zeros((BI, _COLUMNS), tl.float32)
        for second in range(0, nodes, BJ):
            j = second + tl.arange(0, BJ)
            real_j = j < nodes
            from_j = tl.load(sent + (node + j)[:, None] * WIDTH + w[None, :], mask=real_j[:, None], other=0.0)
            mass = pair_square(gram + square, of_i, j, nodes)
            edge = ((tl.log(tl.where(mass < _LEAST, _LEAST, mass)) - mean) / std).to(tl.float32)
            pair = pairs + i[:, None] * nodes.to(tl.int64) + j[None, :]
            inside = real_i[:, None] & real_j[None, :]
            if KEEP:
                tl.store(out.edges + pair, edge, mask=inside)
            h = to_i[:, None, :] + from_j[None, :, :] + edge[:, :, None] * of_edge[None, None, :]
            h = activated(tl.reshape(h, (BI * BJ, WIDTH)), "gelu")
            for layer in tl.static_range(LAYERS - 1):
                matrix = tl.load(weights.hidden + (layer * WIDTH + w)[:, None] * WIDTH + w[None, :])
                bias = tl.load(weights.hidden_bias + layer * WIDTH + w)[None, :] + tl.zeros_like(h)
                h = activated(product(h, matrix, bias, PRECISION), "gelu")
            logits = _last_layers(h, weights, LAYERS, WIDTH, PRECISION)
            logits = tl.reshape(logits, (BI, BJ, _COLUMNS))
            others = (real_j[None, :] & (of_i[:, None] != j[None, :]))[:, :, None]
            logits = tl.where(others, logits, -float("inf"))
            place = out.logits + pair[:, :, None] * _VECTORS + column[None, None, :]
            tl.store(place, logits, mask=inside[:, :, None] & (column < _VECTORS)[None, None, :])
            higher = tl.maximum(largest, tl.max(logits, axis=1))
            total = total * tl.exp(largest - higher) + tl.sum(tl.exp(logits - higher[:, None, :]), axis=1)
            largest = higher
        place = (start + i)[:, None] * _VECTORS + column[None, :]
        inside = real_i[:, None] & (column < _VECTORS)[None, :]
        tl.store(out.largest + place, largest, mask=inside)
        tl.store(out.total + place, total, mask=inside)


@triton.jit
def _last_layers(
    h: tl.tensor, weights: PairWeights, LAYERS: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr
) -> tl.tensor:
    """Logits of some pairs; of the last hidden layer there are some columns at a time, which registers hold."""
    w, column = tl.arange(0, WIDTH), tl.arange(0, _COLUMNS)
    logits = tl.load(weights.last_bias + column)[None, :] + tl.zeros((h.shape[0], _COLUMNS), tl.float32)
    if LAYERS == 0:
        last = tl.load(weights.last + w[:, None] * _COLUMNS + column[None, :])
        logits = product(h, last, logits, PRECISION)
    else:
        CHUNK: tl.constexpr = min(WIDTH, 32)
        high, low = halves(h, PRECISION)
        for first in range(0, WIDTH, CHUNK):
            c = first + tl.arange(0, CHUNK)
            matrix = tl.load(weights.hidden + ((LAYERS - 1) * WIDTH + w)[:, None] * WIDTH + c[None, :])
            bias = tl.load(weights.hidden_bias + (LAYERS - 1) * WIDTH + c)[None, :]
            total = bias + tl.zeros((h.shape[0], CHUNK), tl.float32)
            x = activated(product_of_halves(high, low, *halves(matrix, PRECISION), total, PRECISION), "gelu")
            last = tl.load(weights.last + c[:, None] * _COLUMNS + column[None, :])
            logits = product(x, last, logits, PRECISION)
    return logits


def pair_logits(
    gram_Q: Tensor, received: Tensor, sent: Tensor, weights: PairWeights, pairs: Pairs, *, keep: bool = False
) -> PairLogits:
    """Logits of all pairs, and log m²_ij if it is wanted; arguments as of the kernel."""
    r = pairs.num_pairs
    out = PairLogits(*(received.new_empty(size) for size in ((r, 3), (pairs.num, 3), (pairs.num, 3), r if keep else 0)))
    if pairs.num:
        layers, width = weights.hidden_bias.shape
        rows, columns, warps = TILES
        pair_logits_kernel[(len(pairs.tiles.jet),)](
            gram_Q, received, sent, weights, pairs.tiles, out, pairs.mean, pairs.std, KEEP=keep,
            REFERENCES=pairs.references, LAYERS=layers, WIDTH=width, PRECISION=pairs.precision, RECEIVERS=RECEIVERS,
            BI=rows, BJ=columns, num_warps=warps, num_stages=1,
        )  # fmt: skip
    return out
