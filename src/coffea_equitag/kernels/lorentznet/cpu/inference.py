"""LorentzNet and LorentzNet_base in evaluation: a jet goes through all blocks, its pairs in chunks that stay in caches.

Every sum runs over a jet's own nodes in a fixed order, so a jet's logits are the same to the last bit whatever jets
stand beside it and however many threads there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, F8, I8
from ....compiled import inner, njit, over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.elementary import psi
from ..scalar_kinds import ENERGY, NOTHING, kind_of, of_gram
from .buffers import EdgeInputs, new_chunk
from .clamp import clamped_step, cut_off
from .edge_scalars import edge_scalars, fill_coordinates
from .forward import FIRST, LINEAR, MARGIN, RELU, layer, score_edges
from .gram_step import gram_step
from .weights import Bf16Weights, LorentzNetWeights, bf16_weights_of, weights_of

__all__ = ["logits"]


class _Batch(NamedTuple):
    """What a network is called with."""

    p4: F8  # (N, 4), for the clamp, and for edge scalars made of its components
    scalars: F4  # (N, n_scalar)
    groups: F8  # (N, G): what the node-wise patch is made of; G is 0 without one
    offsets: I8  # (J + 1,): nodes before each jet
    squares: I8  # (J + 1,): n² before each jet
    kind: int  # of the edge scalars, see ``../scalar_kinds.py``
    gram: F8  # (Q,); empty if they are not made of it
    c_weight: float
    clamp: float


class _Nodes(NamedTuple):
    """One jet's nodes at work; each array has rows to spare for tiles that write beyond the last node."""

    nodes: F4  # a row: h, then Σ_j m_ij, then the node's scalars, and what the patch makes of its friend groups
    inputs: EdgeInputs
    groups: F4  # the patch's input and its layers
    patch: F4
    patch_out: F4
    sums: F4  # Σ_j m_ij in whole words
    spare: F4
    unused: F4  # gets the dot products of layers whose nobody wants


def logits(
    model: JetModel,
    p4_N4: Tensor,
    scalars: Tensor,
    offsets: Tensor,
    gram_Q: Tensor,
    groups_NG: Tensor | None = None,
    *,
    bf16: bool = False,
) -> Tensor:
    """Logits of a float32 network in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : LorentzNet or LorentzNetBase
        Of classes.
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of the nodes, for the clamp, and for edge scalars made of them.
    scalars : Tensor of float32, shape (N, n_scalar)
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j, jet after jet, n × n; unused if no edge scalars are made of it.
    groups_NG : Tensor of float64, shape (N, G), optional
        Friend groups' m² or energies, for the node-wise patch.
    bf16 : bool
        Multiply the layers of pairs in bf16.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights, clamp, kind = weights_of(model), model.options.get("clamp"), kind_of(model.get_submodule("blocks.0"))
    bounds = np.ascontiguousarray(offsets.numpy())
    gram, groups = gram_Q if of_gram(kind) else gram_Q[:0], p4_N4[:, :0] if groups_NG is None else groups_NG
    batch = _Batch(
        p4=np.ascontiguousarray(p4_N4.detach().numpy(), np.float64),
        scalars=np.ascontiguousarray(scalars.detach().numpy(), np.float32),
        groups=np.ascontiguousarray(groups.detach().numpy(), np.float64),
        offsets=bounds,
        squares=pair_offsets(bounds),
        kind=kind,
        gram=np.ascontiguousarray(gram.detach().numpy(), np.float64),
        c_weight=float(model.options["c_weight"]),
        clamp=np.inf if clamp is None else float(clamp),
    )
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)
    coarse = bf16_weights_of(model) if bf16 else None
    over_jets(
        lambda first, last: _score(weights, coarse, batch, logits, first, last), batch.squares, torch.get_num_threads()
    )
    return torch.from_numpy(logits)


@njit
def _score(
    weights: LorentzNetWeights, bf16: Bf16Weights | None, batch: _Batch, logits: F4, first: int, last: int
) -> None:
    """Logits of jets ``first:last``; layers of pairs are in bf16 if there are such weights."""
    channels, layers, kind, whole = len(weights.zeros), len(weights.phi_m), batch.kind, weights.edges.phi_e.shape[-1]
    largest = 1
    for jet in range(first, last):
        largest = max(largest, batch.offsets[jet + 1] - batch.offsets[jet])
    rows = largest + MARGIN
    nodes, groups = (
        np.zeros((rows, weights.phi_h.weight.shape[-2]), np.float32),
        np.zeros((rows, batch.groups.shape[1]), np.float32),
    )  # fmt: skip
    patch, patch_out = (
        np.zeros((rows, weights.patch.bias.shape[-1]), np.float32),
        np.zeros((rows, weights.patch_out.bias.shape[-1]), np.float32),
    )  # fmt: skip
    u, v, sums = aligned_rows(rows, whole), aligned_rows(rows, whole), aligned_rows(rows, whole)
    spare, unused, chunk = (
        np.zeros((rows, channels), np.float32),
        np.zeros(rows, np.float32),
        new_chunk(whole, MARGIN, bf16),
    )
    for jet in range(first, last):
        start, n = batch.offsets[jet], batch.offsets[jet + 1] - batch.offsets[jet]
        side = n if len(batch.gram) else 0
        gram = batch.gram[batch.squares[jet] : batch.squares[jet] + side * side].reshape(side, side).copy()
        phi_x = np.zeros(n * n, np.float32)
        x, excess, coordinates = batch.p4[start : start + n].copy(), np.empty((n, 4)), np.empty((n, 3))
        inputs = EdgeInputs(u, v, np.zeros((n, n), np.float32), np.zeros((n, n), np.float32))
        work = _Nodes(nodes, inputs, groups, patch, patch_out, sums, spare, unused)
        _fill_scalars(weights, batch, start, work, n)
        layer(nodes, FIRST + 2 * channels, weights.embedding, FIRST, LINEAR, nodes, n, weights.zeros, unused)
        for number in range(layers):
            layer(nodes, FIRST, weights.phi_e_receiver, number, LINEAR, u, n, weights.zeros, unused)
            layer(nodes, FIRST, weights.phi_e_sender, number, LINEAR, v, n, weights.zeros, unused)
            fill_coordinates(kind, x, coordinates)
            edge_scalars(kind, gram, coordinates, inputs.nu, inputs.pi)
            sums[:n] = 0
            moves = kind != NOTHING and number < layers - 1
            score_edges(weights, bf16, number, inputs, n, chunk, sums, phi_x, moves)
            _update_nodes(weights, number, work, n)
            if moves:
                cuts = (kind >= ENERGY or batch.clamp < np.inf) and clamped_step(
                    phi_x, batch.c_weight, batch.clamp, x, excess
                )
                if kind < ENERGY:
                    gram_step(phi_x, gram, batch.c_weight, gram.ravel())
                if cuts:
                    cut_off(gram, x, excess)
        _classify(weights, work, n, logits[jet])


@inner
def _fill_scalars(weights: LorentzNetWeights, batch: _Batch, start: int, work: _Nodes, n: int) -> None:
    """A jet's node scalars: those that are given, and what the patch makes of friend groups."""
    nodes, groups, begin, given = work.nodes, work.groups, 2 * len(weights.zeros), batch.scalars.shape[1]
    for i in range(n):
        for s in range(given):
            nodes[i, begin + s] = batch.scalars[start + i, s]
        for s in range(groups.shape[1]):
            groups[i, s] = psi(batch.groups[start + i, s])
    patch, patch_out = weights.patch, weights.patch_out
    layer(groups, FIRST, patch, FIRST, RELU, work.patch, n, patch.bias[0], work.unused)
    layer(work.patch, FIRST, patch_out, FIRST, RELU, work.patch_out, n, patch_out.bias[0], work.unused)
    for i in range(n):
        for s in range(nodes.shape[1] - begin - given):
            nodes[i, begin + given + s] = work.patch_out[i, s]


@inner
def _update_nodes(weights: LorentzNetWeights, number: int, work: _Nodes, n: int) -> None:
    """h_i ← h_i + φ_h([h_i, Σ_j m_ij, scalars_i])."""
    nodes, hidden, channels = work.nodes, work.inputs.u, len(weights.zeros)
    for i in range(n):
        for c in range(channels):
            nodes[i, channels + c] = work.sums[i, c]
    layer(nodes, FIRST, weights.phi_h, number, RELU, hidden, n, weights.zeros, work.unused)
    layer(hidden, FIRST, weights.phi_h_out, number, LINEAR, work.spare, n, weights.zeros, work.unused)
    for i in range(n):
        for c in range(channels):
            nodes[i, c] += work.spare[i, c]


@inner
def _classify(weights: LorentzNetWeights, work: _Nodes, n: int, logits: F4) -> None:
    """The head, from the mean of h over the nodes."""
    channels, mean, hidden = len(weights.zeros), work.spare, work.inputs.u
    for c in range(channels):
        mean[0, c] = 0
    for i in range(n):
        for c in range(channels):
            mean[0, c] += work.nodes[i, c]
    scale, one = np.float32(max(n, 1)), FIRST + 1
    for c in range(channels):
        mean[0, c] /= scale
    layer(mean, FIRST, weights.head, FIRST, RELU, hidden, one, weights.zeros, work.unused)
    width = weights.head_out.bias.shape[-1]
    out, zeros = np.empty((MARGIN, width), np.float32), np.zeros(width, np.float32)
    layer(hidden, FIRST, weights.head_out, FIRST, LINEAR, out, one, zeros, work.unused)
    for k in range(len(logits)):
        logits[k] = out[0, k]
