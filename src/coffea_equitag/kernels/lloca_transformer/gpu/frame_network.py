"""Vectors of the local frames as a function of what the first layer makes of nodes, with gradients.

Between forward and backward pass are kept, per pair, two float64 numbers of each vector and log m²_ij, 52 bytes. Hidden
layers of pairs are computed again, for some jets at a time and by torch.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....jets.ragged import boundaries
from ....layers.frame_prediction import FramePrediction
from ...common.gpu.folding import padded
from ...common.gpu.pool import pool
from ...common.gpu.tiles import RECEIVERS, Tiles
from .frame_sums import frame_sums, logit_gradients, shares
from .pair_network import PairWeights, pair_logits
from .pair_rows import pair_rows, sender_sums
from .pair_tiles import Pairs, PairTiles

__all__ = ["frame_vectors", "pair_parameters", "pair_weights", "vectors_of"]

#: Pairs whose rows exist at once in the backward pass, unless a single jet has more.
_PAIRS = 1 << 17


def pair_parameters(frames: FramePrediction) -> list[Tensor]:
    """The first layer's weights of log m²_ij, and weight and bias of each of the others."""
    linears = [layer for layer in frames.rest if isinstance(layer, nn.Linear)]
    return [frames.first.weight[:, -1], *(tensor for layer in linears for tensor in (layer.weight, layer.bias))]


def pair_weights(parameters: list[Tensor]) -> PairWeights:
    """These as the kernel wants them."""
    of_edge, *rest = parameters
    *hidden, last, last_bias = rest
    width = _wide(len(of_edge))
    matrices = [padded(weight.T, width, width) for weight in hidden[::2]]
    biases = [padded(bias, width) for bias in hidden[1::2]]
    return PairWeights(
        of_edge=padded(of_edge, width),
        hidden=torch.stack(matrices) if matrices else of_edge.new_empty(0, width, width),
        hidden_bias=torch.stack(biases) if biases else of_edge.new_empty(0, width),
        last=padded(last.T, width, 16),
        last_bias=padded(last_bias, 16),
    )


def vectors_of(
    p4_M4: Tensor, gram_Q: Tensor, received: Tensor, sent: Tensor, weights: PairWeights, pairs: Pairs
) -> tuple[Tensor, Tensor]:
    """Vectors (3, N, 4) and their squares (3, N), without gradients; arguments as for `frame_vectors`."""
    received, sent = _widened(received), _widened(sent)
    share = shares(gram_Q, pairs, pair_logits(gram_Q, received, sent, weights, pairs))
    return frame_sums(p4_M4, gram_Q, share, pairs)[:2]


def frame_vectors(
    p4_M4: Tensor, gram_Q: Tensor, received: Tensor, sent: Tensor, parameters: list[Tensor], pairs: Pairs
) -> tuple[Tensor, Tensor]:
    """Vectors (3, N, 4) and their squares (3, N), float64, with gradients but for momenta.

    Parameters
    ----------
    p4_M4, gram_Q : Tensor of float64, shapes (M, 4) and (Q,)
        Momenta of the nodes, and their products in the square layout.
    received, sent : Tensor of float32, shapes (N, W) and (M, W)
        What the first layer makes of the scalars of constituents, with the bias, and of nodes.
    parameters : list of Tensor
        `pair_parameters`.
    pairs : Pairs
        The batch.
    """
    found: tuple[Tensor, Tensor] = _FrameVectors.apply(pairs, p4_M4, gram_Q, received, sent, *parameters)  # type: ignore[no-untyped-call]
    return found


class _FrameVectors(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pairs: Pairs, p4: Tensor, gram: Tensor, received: Tensor, sent: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        received, sent = _widened(received), _widened(sent)
        softmax = pair_logits(gram, received, sent, pair_weights([*parameters]), pairs, keep=True)
        share = shares(gram, pairs, softmax)
        vectors, squares, products = frame_sums(p4, gram, share, pairs, keep=True)
        ctx.pairs = pairs
        ctx.save_for_backward(p4, gram, received, sent, share, products, softmax.edges, *parameters)
        return vectors, squares

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        p4, gram, received, sent, share, products, edges, of_edge, *layers = ctx.saved_tensors
        pairs, width = ctx.pairs, len(of_edge)
        above = logit_gradients(p4, gram, share, products, pairs, (grads[0], grads[1]))
        del share, products
        grad_received, grad_sent = torch.zeros_like(received), torch.zeros_like(sent)
        totals = [torch.zeros_like(tensor) for tensor in (of_edge, *layers)]
        wide = padded(of_edge, received.shape[1])
        for piece in _pieces(pairs):
            first, last = piece.pairs
            rows = pair_rows(received, sent, wide, edges, pairs, piece.tiles, first, last)
            grad_rows, found = _through(rows[:, :width], layers, above[first:last])
            for total, grad in zip(totals, (edges[first:last] @ grad_rows, *found), strict=True):
                total += grad
            grad_rows = _widened(grad_rows)
            begin, end = piece.constituents
            grad_received[begin:end] = pool(grad_rows, piece.rows)
            sender_sums(grad_rows, piece.nodes, pairs, piece.node_tiles, first, grad_sent)
        return None, None, None, grad_received[:, :width], grad_sent[:, :width], *totals


def _through(rows: Tensor, layers: list[Tensor], above: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Gradients of rows and layers from those of the logits."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (rows, *layers)]
        h = leaves[0]
        for weight, bias in zip(leaves[1::2], leaves[2::2], strict=True):
            h = nn.functional.linear(nn.functional.gelu(h), weight, bias)
    grad_rows, *found = torch.autograd.grad(h, leaves, above)
    return grad_rows, found


class _Piece(NamedTuple):
    """Some jets: their pairs and constituents, the tiles of both constituents and nodes, and where rows of i begin."""

    pairs: tuple[int, int]
    constituents: tuple[int, int]
    tiles: PairTiles
    nodes: Tiles
    node_tiles: slice
    rows: Tensor


def _pieces(pairs: Pairs) -> list[_Piece]:
    """Consecutive jets of not too many pairs together."""
    n, tiles = pairs.tiles.offsets.diff(), pairs.tiles
    nodes = Tiles.of(boundaries(n + pairs.references))
    rows = boundaries(torch.repeat_interleave(n + pairs.references, n))
    ends, places = pairs.tiles.pairs.tolist(), pairs.tiles.offsets.tolist()
    counts = n.tolist()
    own = [0, *accumulate(-(-count // RECEIVERS) for count in counts)]
    all_ = [0, *accumulate(-(-(count + pairs.references) // RECEIVERS) for count in counts)]
    found, first = [], 0
    for last in range(1, len(ends)):
        if last == len(ends) - 1 or ends[last + 1] - ends[first] > _PAIRS:
            some = slice(own[first], own[last])
            begin, end = places[first], places[last]
            found.append(
                _Piece(
                    (ends[first], ends[last]),
                    (begin, end),
                    tiles._replace(jet=tiles.jet[some], first=tiles.first[some]),
                    nodes,
                    slice(all_[first], all_[last]),
                    rows[begin : end + 1] - ends[first],
                )
            )
            first = last
    return found


def _wide(width: int) -> int:
    """A power of 2 that matrix products can have."""
    return max(16, 1 << (width - 1).bit_length())


def _widened(rows: Tensor) -> Tensor:
    """Rows filled up with zeros to such a width, contiguous."""
    more = _wide(rows.shape[1]) - rows.shape[1]
    return nn.functional.pad(rows, (0, more)) if more else rows.contiguous()
