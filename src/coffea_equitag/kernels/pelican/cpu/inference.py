"""PELICAN's evaluation: a jet passes through all layers, each one sweep over the pairs of its messages, in place.

The messages of a jet are stored as S_ij = Y_ij + Y_ji for i < j, then A_ij = Y_ij − Y_ji, then both for the diagonal:
two products per pair of mirror images instead of four, see ``../README.md``. A chunk of pairs is mixed, passes the
next message layer while it is in the first-level cache, and is written back where it was, so neither the fifteen
aggregates nor a second array of messages are stored.

Every sum runs over a jet's own nodes in a fixed order, so its logits are the same to the last bit whatever other jets
are in the batch and however many threads run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import leaf, njit, over_jets
from ....invariants.gram import gram
from ....invariants.minkowski import pair_offsets
from ....jets.ragged import RaggedJets
from ....layers.broken_symmetry import along
from ....layers.jet_frame import jet_frame
from ....layers.squares import Squares
from ...common.cpu.aligned import aligned_rows
from ..network import PelicanNetwork
from .chunks import (
    MARGIN,
    NodeTerms,
    PairNodes,
    Rows,
    chunk_from,
    collect,
    encode,
    find_pair_nodes,
    make_pair_nodes,
    make_rows,
    message,
    mix,
)
from .inputs import labelled, pair_channels
from .nodes import JetNodes, MessageSums, make_node_rows, node_terms, scalar_terms
from .readout import readout
from .weights import PelicanWeights, weights_of

__all__ = ["logits", "network_from_jets"]


def logits(model: PelicanNetwork, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Outputs of a float32 `PELICAN` in evaluation mode; arguments as for its ``network``.

    Returns
    -------
    Tensor of float32, shape (J, n_classes), or (N, B) for momenta
        Logits, or the weights of each node.
    """
    weights = weights_of(model)
    bounds = np.ascontiguousarray(offsets.numpy())
    total = int(bounds[-1]) if len(bounds) else 0
    safe = bool(model.options["irc_safe"])
    if safe:
        products_QR, weight_N = jet_frame(products_QR, Squares.of(offsets))
        node_weights = np.ascontiguousarray(weight_N.float().double().numpy())
    else:
        node_weights = np.ones(total)
    products = np.ascontiguousarray(products_QR.detach().numpy(), np.float64)
    scalars = np.zeros((total, 0)) if scalars_NS is None else scalars_NS.detach().double().numpy()
    jets = _Jets(products, scalars, node_weights, bounds, pair_offsets(bounds))
    options = _Options(float(model.options["mean_count"]), model.options["aggregation"] == "sum", safe)
    by_node = model.output == "momentum"
    outputs = np.empty((total if by_node else len(bounds) - 1, len(weights.head)), np.float32)

    def run(first: int, last: int) -> None:
        _score(weights, jets, options, by_node, outputs, first, last)

    over_jets(run, jets.squares, torch.get_num_threads())
    return torch.from_numpy(outputs)


def network_from_jets(model: PelicanNetwork, jets: RaggedJets) -> Tensor:
    """The same, directly from jets in any order."""
    before = np.ascontiguousarray(jets.offsets.numpy())
    spurions, inputs = (model.broken.spurions, ()) if model.by_spurions else ((), model.broken.inputs)
    q = jets.p4.new_tensor(spurions).view(-1, 4)
    own_kk = q @ (q * q.new_tensor([1.0, -1.0, -1.0, -1.0])).T
    mixed_Nk, inputs_NR = (along(vectors, jets.p4, jets.mass) for vectors in (spurions, inputs))
    channels = model.embedding.weight.shape[1]
    products = torch.from_numpy(pair_channels(gram(jets), before, mixed_Nk, own_kk, inputs_NR, channels))
    k = len(spurions)
    scalars = model.own_scalars(jets) if model.scalars_to_pairs is not None else None
    if scalars is not None and k:
        scalars = torch.from_numpy(labelled(scalars.double().numpy(), before, k))
    return logits(model, products, scalars, torch.from_numpy(before + k * np.arange(len(before))))


class _Jets(NamedTuple):
    """The batch."""

    products: F8  # pair channels, (Q, R)
    scalars: F8  # (N, S)
    weight: F8  # of each node in aggregates, (N,)
    offsets: I8  # (J + 1,)
    squares: I8  # n² before each jet, (J + 1,)


class _Options(NamedTuple):
    """Options of the network that change what is computed."""

    mean_count: float  # n̄
    sums: bool  # aggregates are sums over n̄, not means
    angles: bool  # the encoder's form for angles


@njit
def _score(
    weights: PelicanWeights, jets: _Jets, options: _Options, by_node: bool, outputs: F4, first: int, last: int
) -> None:
    narrow, wide, layers = weights.scale.shape[1], weights.bias.shape[2], len(weights.even)
    largest = 1
    for jet in range(first, last):
        largest = max(largest, jets.offsets[jet + 1] - jets.offsets[jet])
    nodes = largest + MARGIN
    rows, node_rows, pair_nodes = make_rows(narrow, wide), make_node_rows(weights, largest), make_pair_nodes(largest)
    terms = NodeTerms(aligned_rows(nodes, wide), aligned_rows(nodes, wide), aligned_rows(nodes, wide))
    pairs = aligned_rows(largest * (largest + 1) + MARGIN, narrow)
    sums = MessageSums(pairs, np.zeros((nodes, narrow)), np.zeros((nodes, narrow)))
    for jet in range(first, last):
        start, n = jets.offsets[jet], jets.offsets[jet + 1] - jets.offsets[jet]
        products = jets.products[jets.squares[jet] : jets.squares[jet + 1]]
        norm = options.mean_count if options.sums else float(max(n, 1))
        own = JetNodes(n, jets.weight[start : start + n], norm, np.log(max(n, 1) / options.mean_count))
        find_pair_nodes(n, pair_nodes)
        scalar_terms(weights, jets.scalars[start : start + n], own, terms)
        for k in range(layers + 1):
            if k > 0:
                node_terms(weights, k - 1, sums, own, terms, node_rows)
            _sweep(weights, k, options.angles, products, own, terms, pair_nodes, rows, sums)
        of_jet = outputs[start : start + n] if by_node else outputs[jet : jet + 1]
        readout(weights, layers, sums, own, node_rows, of_jet)


@leaf
def _sweep(
    weights: PelicanWeights, layer: int, angles: bool, products: F8, jet: JetNodes, terms: NodeTerms, nodes: PairNodes,
    rows: Rows, sums: MessageSums,
) -> None:  # fmt: skip
    """The messages of one layer and their sums, from encoded products or from the messages that were there before."""
    pairs, row, column = sums
    n = jet.n
    _clear(row, column, n)
    i, j, at, count = 0, 1, 0, n * (n - 1) // 2
    while at < count + n:
        chunk = chunk_from(i, j, at, n)
        even, odd = (at, at + count) if chunk.mirrored else (at + count, at + count + n)
        if layer == 0:
            encode(weights, angles, products, chunk, terms, rows)
        else:
            mix(weights, layer - 1, chunk, pairs, even, odd, terms, nodes, rows)
        message(weights, layer, chunk, rows)
        i, j = collect(weights, chunk, rows, jet.weight, row, column, pairs, even, odd)
        at += chunk.size


@leaf
def _clear(row: F8, column: F8, n: int) -> None:
    for i in range(n):
        for c in range(row.shape[1]):
            row[i, c] = column[i, c] = 0.0
