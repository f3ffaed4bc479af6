"""PELICAN's evaluation, fused: a jet goes through all blocks, each one sweep over the pairs of its messages in place.

A jet's messages X live as rows of channels: S_ij = X_ij + X_ji for i < j, then A_ij = X_ij − X_ji, then both for the
diagonal. X_ij W₁ + X_ji W₂ and its mirror image are S_ij (W₁ + W₂)/2 ± A_ij (W₁ − W₂)/2: two products instead of
four. A chunk of pairs is mixed, passes the next message while it is in the first cache, and is written back where it
was, so that neither the fifteen aggregates nor a second X are kept.

Every sum runs over a jet's own nodes in a fixed order, so a jet's logits are the same to the last bit whatever jets
stand beside it and however many threads there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...compiled import njit, over_jets
from ...invariants.gram import gram
from ...invariants.minkowski import pair_offsets
from ...layers.broken_symmetry import along
from ...layers.jet_frame import jet_frame
from ...layers.squares import Squares
from ...ragged import RaggedJets
from .pair_encoding import ENCODED, encode_angles, encode_rows, scalar_row
from .pair_tile import add_rows, block_of, message_tile, mixed_rows, mixed_tile, sum_pair, sum_self
from .pelican_inputs import labelled, pair_channels
from .pelican_nodes import node_terms, readout, scalar_terms
from .pelican_weights import PelicanWeights, weights_of

if TYPE_CHECKING:
    from ...models.pelican import Pelican

__all__ = ["pelican_logits", "pelican_logits_of_jets"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]

#: Pairs worked on at once, and as many mirror images: few enough for the first cache.
_CHUNK = 72
#: Rows that tiles may read or write beyond a matrix's own.
_MARGIN = 16


def pelican_logits(model: Pelican, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
    """Logits of a float32 `Pelican` of classes in evaluation mode; arguments as of its ``network``.

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


def pelican_logits_of_jets(model: Pelican, jets: RaggedJets) -> Tensor:
    """Logits of a float32 `Pelican` of classes in evaluation mode, straight from jets in any order.

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
    return pelican_logits(model, products, scalars, torch.from_numpy(before + k * np.arange(len(before))))


@njit
def _score(
    weights: PelicanWeights,
    products: _F8,
    scalars: _F8,
    node_weights: _F8,
    offsets: _I8,
    squares: _I8,
    sums: bool,
    mean_count: float,
    angles: bool,
    logits: _F4,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    narrow, wide = weights.scale.shape[1], weights.bias.shape[2]
    layers = len(weights.even)
    largest = 1
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    nodes = largest + _MARGIN
    pairs = _rows(largest * (largest + 1) + _MARGIN, narrow)
    above, below = _rows(_CHUNK + _MARGIN, wide), _rows(_CHUNK + _MARGIN, wide)
    up, down = _rows(_CHUNK + _MARGIN, narrow), _rows(_CHUNK + _MARGIN, narrow)
    u, v, d, spare = _rows(nodes, wide), _rows(nodes, wide), _rows(nodes, wide), _rows(_MARGIN, wide)
    # beyond the encoder's own channels it stays zero
    encoded = _rows(2 * _CHUNK + ENCODED, wide)
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
                    _encode(
                        weights, angles, products_of_jet, i, j, size, n, u, v, d, above, below, encoded, places, mirror
                    )
                else:
                    _begin(weights, i, j, size, n, u, v, d, above, below)
                    _mix(weights, k - 1, size, pairs, even, odd, above, below, spare)
                _message(weights, k, size, mirrored, above, below, up, down)
                i, j = _collect(weights, i, j, size, n, up, down, weight, row, column, pairs, even, odd)
                at += size
        readout(weights, layers, pairs, row, weight, n, mean_count, norm, logits[jet])


@njit
def _clear(row: _F8, column: _F8, n: int) -> None:  # pragma: no cover
    for i in range(n):
        for c in range(row.shape[1]):
            row[i, c] = column[i, c] = 0.0


@njit
def _rows(count: int, width: int) -> _F4:  # pragma: no cover
    """Zeros, from the start of a cache line."""
    buffer = np.zeros(count * width + 16, np.float32)
    skip = (-buffer.ctypes.data % 64) // 4
    return buffer[skip : skip + count * width].reshape(count, width)


@njit
def _encode(
    weights: PelicanWeights,
    angles: bool,
    products: _F8,
    i: int,
    j: int,
    size: int,
    n: int,
    u: _F4,
    v: _F4,
    d: _F4,
    above: _F4,
    below: _F4,
    encoded: _F4,
    places: _I8,
    mirror: _I8,
) -> None:  # pragma: no cover
    """What pairs (i, j), ... begin with, and their mirror images: encoded products, and terms of their scalars."""
    wide, block, inputs = above.shape[1], block_of(weights.wide), products.shape[1]
    # the mirror images follow; they are encoded only if they differ
    first_i, first_j, count, done = i, j, size, 0
    while done < size:
        run = _run(i, j, n, size - done)
        for row in range(done, done + run):
            pair, image = i * n + j + row - done, (j + row - done) * n + i
            places[row], mirror[row] = pair * inputs, row
            for k in range(inputs):
                # NaN is not the same
                if mirror[row] == row and products[pair, k] != products[image, k]:
                    places[count], mirror[row] = image * inputs, count
                    count += 1
        done += run
        i, j = _next(i, j + run - 1, n)
    for row in range(count, count + ENCODED):
        places[row] = 0
    _encode_places(weights, angles, products, places, count, encoded)
    i, j, done = first_i, first_j, 0
    while done < size:
        run = _run(i, j, n, size - done)
        for c in range(0, wide, block):
            if i == j:
                add_rows(weights.wide, v, i * wide + c, v, i * wide + c, d, i * wide + c)
            for row in range(done, done + run):
                to, other = row * wide + c, (j + row - done) * wide + c
                scalar_row(weights.wide, above, to, encoded, to, u, i * wide + c, v, other)
                scalar_row(weights.wide, below, to, encoded, mirror[row] * wide + c, u, other, v, i * wide + c)
        done += run
        i, j = _next(i, j + run - 1, n)


@njit
def _run(i: int, j: int, n: int, most: int) -> int:  # pragma: no cover
    """How many pairs follow in the row of (i, j); one at a time down the diagonal."""
    return 1 if i == j else min(most, n - j)


@njit
def _next(i: int, j: int, n: int) -> tuple[int, int]:  # pragma: no cover
    """The pair after (i, j): along the row, to the next one, or down the diagonal."""
    if i == j:
        return i + 1, j + 1
    return (i, j + 1) if j + 1 < n else (i + 1, i + 2)


@njit
def _encode_places(
    weights: PelicanWeights, angles: bool, products: _F8, places: _I8, count: int, out: _F4
) -> None:  # pragma: no cover
    wide, inputs, block = out.shape[1], products.shape[1], block_of(weights.encoded)
    for b in range(0, len(weights.encoded) * block, block):
        for row in range(0, count, ENCODED):
            if angles:
                encode_angles(
                    weights.encoded, products, places, row, inputs, weights.embedding, wide, weights.embedding_bias,
                    weights.power, weights.inverse, b, out,
                )  # fmt: skip
            else:
                encode_rows(
                    weights.encoded, products, places, row, inputs, weights.embedding, wide, weights.embedding_bias,
                    weights.power, weights.inverse, b, out,
                )  # fmt: skip


@njit
def _begin(
    weights: PelicanWeights, i: int, j: int, size: int, n: int, u: _F4, v: _F4, d: _F4, above: _F4, below: _F4
) -> None:  # pragma: no cover
    """u_i + v_j for pairs (i, j), (i, j + 1), ... and their mirror images; u_i + v_i + d_i on the diagonal."""
    wide, block = above.shape[1], block_of(weights.wide)
    done = 0
    while done < size:
        run = _run(i, j, n, size - done)
        for c in range(0, wide, block):
            for row in range(done, done + run):
                to, other = row * wide + c, (j + row - done) * wide + c
                add_rows(weights.wide, above, to, u, i * wide + c, v, other)
                add_rows(weights.wide, below, to, u, other, v, i * wide + c)
            if i == j:
                add_rows(weights.wide, above, done * wide + c, above, done * wide + c, d, i * wide + c)
        done += run
        i, j = _next(i, j + run - 1, n)


@njit
def _mix(
    weights: PelicanWeights,
    layer: int,
    size: int,
    pairs: _F4,
    even_at: int,
    odd_at: int,
    above: _F4,
    below: _F4,
    spare: _F4,
) -> None:  # pragma: no cover
    wide, narrow, depth = above.shape[1], pairs.shape[1], weights.even.shape[-2]
    block, blocks = block_of(weights.wide), len(weights.wide)
    for b in range(blocks):
        at = (layer * blocks + b) * depth * block
        for row in range(0, size, mixed_rows(weights.wide)):
            mixed_tile(
                weights.wide, weights.narrow, above, below, row * wide + b * block, pairs, (even_at + row) * narrow,
                (odd_at + row) * narrow, depth, weights.even, weights.odd, at, spare,
            )  # fmt: skip


@njit
def _message(
    weights: PelicanWeights, layer: int, size: int, mirrored: bool, above: _F4, below: _F4, up: _F4, down: _F4
) -> None:  # pragma: no cover
    wide, narrow, depth = above.shape[1], up.shape[1], weights.message.shape[-2]
    block, blocks = block_of(weights.narrow), len(weights.narrow)
    for side in range(2 if mirrored else 1):
        x, out = (above, up) if side == 0 else (below, down)
        for b in range(blocks):
            at = (layer * blocks + b) * depth * block
            for row in range(0, size, mixed_rows(weights.narrow)):
                message_tile(
                    weights.wide, weights.narrow, x, row * wide, depth, weights.message, at, weights.message_bias,
                    layer * narrow + b * block, out, row * narrow + b * block,
                )  # fmt: skip


@njit
def _collect(
    weights: PelicanWeights,
    i: int,
    j: int,
    size: int,
    n: int,
    up: _F4,
    down: _F4,
    weight: _F8,
    row: _F8,
    column: _F8,
    pairs: _F4,
    even_to: int,
    odd_to: int,
) -> tuple[int, int]:  # pragma: no cover
    """Sum a chunk's messages for their nodes and put S and A in their place; the pair after the last one."""
    narrow, block = up.shape[1], block_of(weights.narrow)
    done = 0
    while done < size:
        run = _run(i, j, n, size - done)
        for c in range(0, narrow, block):
            if i == j:
                sum_self(weights.narrow, up, c, done, narrow, weight, row, column, i, pairs, even_to + done,
                         odd_to + done)  # fmt: skip
            else:
                sum_pair(
                    weights.narrow, up, down, c, done, run, narrow, weight, row, column, i, j, pairs, even_to + done,
                    odd_to + done,
                )  # fmt: skip
        done += run
        i, j = _next(i, j + run - 1, n)
    return i, j
