"""PELICAN's evaluation, fused: a jet goes through all blocks, each one sweep over the pairs of its messages in place.

A jet's messages X live as rows of channels: S_ij = X_ij + X_ji for i < j, then A_ij = X_ij − X_ji, then both for the
diagonal. X_ij W₁ + X_ji W₂ and its mirror image are S_ij (W₁ + W₂)/2 ± A_ij (W₁ − W₂)/2: two products instead of
four. A chunk of pairs is mixed, passes the next message while it is in the first cache, and is written back where it
was, so that neither the fifteen aggregates nor a second X are kept.

Every sum runs over a jet's own nodes in a fixed order, so a jet's logits are the same to the last bit whatever jets
stand beside it and however many threads there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import inner, njit, over_jets
from ....invariants.gram import gram
from ....invariants.minkowski import pair_offsets
from ....jets.ragged import RaggedJets
from ....layers.broken_symmetry import along
from ....layers.jet_frame import jet_frame
from ....layers.squares import Squares
from ...common.cpu.aligned import aligned_rows
from .chunks import begin, collect, encode, message, mix
from .inputs import labelled, pair_channels
from .nodes import node_terms, readout, scalar_terms
from .pair_encoding import ENCODED
from .weights import PelicanWeights, weights_of

__all__ = ["logits", "logits_from_jets"]


#: Pairs worked on at once, and as many mirror images: few enough for the first cache.
_CHUNK = 72
#: Rows that tiles may read or write beyond a matrix's own.
_MARGIN = 16


def logits(model: Any, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Logits of a float32 `PELICAN` of classes in evaluation mode; arguments as of its ``network``.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
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
    squares = pair_offsets(bounds)
    sums = model.options["aggregation"] == "sum"
    mean_count = float(model.options["mean_count"])
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)

    def run(first: int, last: int) -> None:
        _score(weights, products, scalars, node_weights, bounds, squares, sums, mean_count, safe, logits, first, last)

    over_jets(run, squares, torch.get_num_threads())
    return torch.from_numpy(logits)


def logits_from_jets(model: Any, jets: RaggedJets) -> Tensor:
    """Logits of a float32 `PELICAN` of classes in evaluation mode, straight from jets in any order.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    before = np.ascontiguousarray(jets.offsets.numpy())
    spurions, inputs = (model.broken.spurions, ()) if model.by_spurions else ((), model.broken.inputs)
    q = jets.p4.new_tensor(spurions).view(-1, 4)
    own_kk = q @ (q * q.new_tensor([1.0, -1.0, -1.0, -1.0])).T
    mixed_Nk, inputs_NR = (along(vectors, jets.p4, jets.mass) for vectors in (spurions, inputs))
    products = torch.from_numpy(pair_channels(gram(jets), before, mixed_Nk, own_kk, inputs_NR))
    k = len(spurions)
    scalars = model.own_scalars(jets) if model.scalars_to_pairs is not None else None
    if scalars is not None and k:
        scalars = torch.from_numpy(labelled(scalars.double().numpy(), before, k))
    return logits(model, products, scalars, torch.from_numpy(before + k * np.arange(len(before))))


@njit
def _score(
    weights: PelicanWeights,
    products: F8,
    scalars: F8,
    node_weights: F8,
    offsets: I8,
    squares: I8,
    sums: bool,
    mean_count: float,
    angles: bool,
    logits: F4,
    first: int,
    last: int,
) -> None:
    narrow, wide = weights.scale.shape[1], weights.bias.shape[2]
    layers = len(weights.even)
    largest = 1
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    nodes = largest + _MARGIN
    pairs = aligned_rows(largest * (largest + 1) + _MARGIN, narrow)
    above, below = aligned_rows(_CHUNK + _MARGIN, wide), aligned_rows(_CHUNK + _MARGIN, wide)
    up, down = aligned_rows(_CHUNK + _MARGIN, narrow), aligned_rows(_CHUNK + _MARGIN, narrow)
    u, v, d = aligned_rows(nodes, wide), aligned_rows(nodes, wide), aligned_rows(nodes, wide)
    spare = aligned_rows(_MARGIN, wide)
    # beyond the encoder's own channels it stays zero
    encoded = aligned_rows(2 * _CHUNK + ENCODED, wide)
    places, mirror = np.empty(2 * _CHUNK + ENCODED, np.int64), np.empty(_CHUNK, np.int64)
    row, column = np.zeros((nodes, narrow)), np.zeros((nodes, narrow))
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        weight = node_weights[start : start + n]
        products_of_jet = products[squares[jet] : squares[jet + 1]]
        norm = mean_count if sums else float(max(n, 1))
        scalar_terms(weights, scalars[start : start + n], weight, n, mean_count, norm, u, v, d)
        for k in range(layers + 1):
            if k > 0:
                node_terms(weights, k - 1, pairs, row, column, weight, n, mean_count, norm, u, v, d)
            _clear(row, column, n)
            # the first row's partners, then the second's, ...; then the diagonal
            i, j, at, count = 0, 1, 0, n * (n - 1) // 2
            while at < count + n:
                mirrored = at < count
                size = min((count if mirrored else count + n) - at, _CHUNK)
                even, odd = (at, at + count) if mirrored else (at + count, at + count + n)
                if not mirrored:
                    i, j = at - count, at - count
                if k == 0:
                    encode(
                        weights, angles, products_of_jet, i, j, size, n, u, v, d, above, below, encoded, places, mirror
                    )
                else:
                    begin(weights, i, j, size, n, u, v, d, above, below)
                    mix(weights, k - 1, size, pairs, even, odd, above, below, spare)
                message(weights, k, size, mirrored, above, below, up, down)
                i, j = collect(weights, i, j, size, n, up, down, weight, row, column, pairs, even, odd)
                at += size
        readout(weights, layers, pairs, row, weight, n, mean_count, norm, logits[jet])


@inner
def _clear(row: F8, column: F8, n: int) -> None:
    for i in range(n):
        for c in range(row.shape[1]):
            row[i, c] = column[i, c] = 0.0
