"""LorentzNet's evaluation, fused: a jet goes through all blocks, and pairs live in chunks that stay in the caches.

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
from .buffers import EdgeInputs, new_chunk
from .clamp import clamped_step, cut_off
from .edge_scalars import edge_scalars
from .forward import FIRST, LINEAR, MARGIN, RELU, layer, score_edges
from .gram_step import gram_step
from .weights import LorentzNetWeights, weights_of

__all__ = ["logits"]


class _Batch(NamedTuple):
    """What a network is called with."""

    p4: F8  # (N, 4), for the clamp
    scalars: F4  # (N, n_scalar)
    offsets: I8  # (J + 1,): nodes before each jet
    squares: I8  # (J + 1,): n² before each jet
    gram: F8  # (Q,)
    c_weight: float
    clamp: float


class _Nodes(NamedTuple):
    """One jet's nodes at work; each array has rows to spare for tiles that write beyond the last node."""

    nodes: F4  # a row: h, then Σ_j m_ij, then the node's scalars
    inputs: EdgeInputs
    sums: F4  # Σ_j m_ij in whole words
    spare: F4
    unused: F4  # gets the dot products of layers whose nobody wants


def logits(model: JetModel, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor) -> Tensor:
    """Logits of a float32 `LorentzNet` in evaluation mode; arguments as of its ``network``.

    Parameters
    ----------
    model : LorentzNet
        Of classes.
    p4_N4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) of the nodes, for the clamp.
    scalars : Tensor of float32, shape (N, n_scalar)
        Node scalars.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    gram_Q : Tensor of float64, shape (Q,)
        p_i·p_j, jet after jet, n × n.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights, clamp = weights_of(model), model.options["clamp"]
    bounds = np.ascontiguousarray(offsets.numpy())
    batch = _Batch(
        p4=np.ascontiguousarray(p4_N4.detach().numpy(), np.float64),
        scalars=np.ascontiguousarray(scalars.detach().numpy(), np.float32),
        offsets=bounds,
        squares=pair_offsets(bounds),
        gram=np.ascontiguousarray(gram_Q.detach().numpy(), np.float64),
        c_weight=float(model.options["c_weight"]),
        clamp=np.inf if clamp is None else float(clamp),
    )
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)
    over_jets(lambda first, last: _score(weights, batch, logits, first, last), batch.squares, torch.get_num_threads())
    return torch.from_numpy(logits)


@njit
def _score(weights: LorentzNetWeights, batch: _Batch, logits: F4, first: int, last: int) -> None:
    """Logits of jets ``first:last``."""
    channels, n_scalar, layers = len(weights.zeros), batch.scalars.shape[1], len(weights.phi_m)
    whole = weights.edges.phi_e.shape[-1]
    largest = 1
    for jet in range(first, last):
        largest = max(largest, batch.offsets[jet + 1] - batch.offsets[jet])
    rows = largest + MARGIN
    nodes = np.zeros((rows, 2 * channels + n_scalar), np.float32)
    u, v, sums = aligned_rows(rows, whole), aligned_rows(rows, whole), aligned_rows(rows, whole)
    spare, unused, chunk = np.zeros((rows, channels), np.float32), np.zeros(rows, np.float32), new_chunk(whole, MARGIN)
    for jet in range(first, last):
        start, n = batch.offsets[jet], batch.offsets[jet + 1] - batch.offsets[jet]
        gram = batch.gram[batch.squares[jet] : batch.squares[jet + 1]].reshape(n, n).copy()
        phi_x = np.zeros(n * n, np.float32)
        x, excess = batch.p4[start : start + n].copy(), np.empty((n, 4))
        inputs = EdgeInputs(u, v, np.empty((n, n), np.float32), np.empty((n, n), np.float32))
        work = _Nodes(nodes, inputs, sums, spare, unused)
        for i in range(n):
            for s in range(n_scalar):
                nodes[i, 2 * channels + s] = batch.scalars[start + i, s]
        layer(nodes, FIRST + 2 * channels, weights.embedding, FIRST, LINEAR, nodes, n, weights.zeros, unused)
        for number in range(layers):
            layer(nodes, FIRST, weights.phi_e_receiver, number, LINEAR, u, n, weights.zeros, unused)
            layer(nodes, FIRST, weights.phi_e_sender, number, LINEAR, v, n, weights.zeros, unused)
            edge_scalars(gram, inputs.psi_norm, inputs.psi_dot)
            sums[:n] = 0
            score_edges(weights, number, inputs, n, chunk, sums, phi_x)
            _update_nodes(weights, number, work, n)
            if number < layers - 1:
                cuts = batch.clamp < np.inf and clamped_step(phi_x, batch.c_weight, batch.clamp, x, excess)
                gram_step(phi_x, gram, batch.c_weight, gram.ravel())
                if cuts:
                    cut_off(gram, x, excess)
        _classify(weights, work, n, logits[jet])


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
