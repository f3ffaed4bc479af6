"""LorentzNet and LorentzNet_base on padded jets."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...invariants.pair_scalars import pair_scalar
from ...invariants.weaver_variables import kinematic_features
from ...layers.lorentz_block import LorentzBlock
from ...layers.pairwise_block import PairwiseBlock
from ...layers.psi import psi
from ...models.beams import BEAMS
from ...models.lorentznet import LorentzNet
from ...models.lorentznet_base import LorentzNetBase
from ..neighbours import friend_scalars
from ..padded_jets import PaddedJets
from ..padded_squares import per_row
from ..pair_products import pair_products

__all__ = ["outputs", "outputs_base"]


class _State(NamedTuple):
    """Scalars (J, W, C), products (J, W, W) and vectors (J, W, 4) of the nodes."""

    h: Tensor
    gram: Tensor
    x: Tensor


def outputs(model: LorentzNet, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes), or momenta (J, 4)."""
    nodes = jets
    if model.options["beams"]:
        beams = jets.p4.new_tensor(BEAMS)
        nodes = jets.prepend(beams, beams.new_ones(len(beams)))
    scalars = model.scalars(nodes.rows()).view(*nodes.size, -1)
    state = _State(model.embedding(scalars), pair_products(nodes), nodes.p4)
    blocks: list[Any] = list(model.blocks)
    for block in blocks:
        state = _block(block, state, scalars, nodes)
    if model.output == "classes":
        logits: Tensor = model.head(nodes.mean(state.h))
        return logits
    weights = torch.where(nodes.real[..., None], model.head(state.h).double(), 0.0)
    return (weights * state.x)[:, nodes.references :].sum(1)


def outputs_base(model: LorentzNetBase, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes)."""
    rows = jets.rows()
    scalars = torch.cat([kinematic_features(rows), psi(rows.mass)[:, None]], dim=1).to(model.dtype)
    scalars, gram = scalars.view(*jets.size, -1), pair_products(jets)
    state = _State(model.embedding(scalars), gram, jets.p4)
    if model.node_patch is not None:
        groups = friend_scalars(model.options["nodewise"], jets, model.options["friends"], gram)
        scalars = torch.cat([scalars, model.node_patch(groups)], dim=2)
    blocks: list[Any] = list(model.blocks)
    for block in blocks:
        state = _block(block, state, scalars, jets)
    logits: Tensor = model.head(jets.mean(state.h))
    return logits


def _block(block: LorentzBlock, state: _State, scalars: Tensor, nodes: PaddedJets) -> _State:
    between = nodes.between()[..., None]
    message = _messages(block, state.h, _edge_scalars(block, state).to(state.h.dtype))
    total = torch.where(between, message, 0.0).sum(2)
    h = state.h + per_row(block.phi_h, torch.cat([state.h, total, scalars], dim=2))
    if block.phi_x is None or not block.updates_vectors:
        return _State(h, state.gram, state.x)
    weight = torch.where(between, per_row(block.phi_x, message).double(), 0.0)[..., 0]
    return _moved(block, _State(h, state.gram, state.x), weight, nodes)


def _edge_scalars(block: LorentzBlock, state: _State) -> Tensor:
    """ψ of the scalars of each pair: (J, W, W, E), float64."""
    square = state.gram.diagonal(dim1=1, dim2=2)
    if not isinstance(block, PairwiseBlock):
        norm = square[:, :, None] + square[:, None] - 2 * state.gram
        return torch.stack([psi(norm), psi(state.gram)], dim=3)
    if block.pairwise is None:
        return state.gram.new_empty(*state.gram.shape, 0)
    if block.pairwise == "mass":
        return psi(square[:, :, None] + square[:, None] + 2 * state.gram)[..., None]
    j, w, _ = state.gram.shape
    row = torch.arange(j)[:, None] * w + torch.arange(w)
    none = torch.zeros(1, dtype=torch.int64)
    x, gram = state.x.flatten(0, 1), state.gram.flatten()
    return psi(pair_scalar(block.pairwise, x, gram, row[:, :, None], row[:, None], none, none))[..., None]


def _messages(block: LorentzBlock, h: Tensor, edges: Tensor) -> Tensor:
    """m_ij of all pairs: (J, W, W, C)."""
    linear, *rest = block.phi_e
    assert isinstance(linear, nn.Linear)
    w_i, w_j, w_edge = torch.split(linear.weight, [h.shape[2], h.shape[2], edges.shape[3]], dim=1)
    message = (h @ w_i.T)[:, :, None] + (h @ w_j.T)[:, None]
    if edges.shape[3]:
        message = message + edges @ w_edge.T
    message = per_row(nn.Sequential(*rest), message)
    return message * per_row(block.phi_m, message)


def _moved(block: LorentzBlock, state: _State, weight: Tensor, nodes: PaddedJets) -> _State:
    """X ← S x and G ← S G Sᵀ, then what the clamp changes."""
    degree = (nodes.counts - 1).clamp(min=1)[:, None, None]
    step = block.c_weight * weight / degree
    mixing = torch.diag_embed(1 + step.sum(2)) - step
    x, gram = mixing @ state.x, mixing @ state.gram @ mixing.mT
    if block.clamp is None or isinstance(block, PairwiseBlock):
        return _State(state.h, gram, x)
    raw = (state.x[:, :, None] - state.x[:, None]) * weight[..., None]
    cut = block.c_weight * (raw.clamp(-block.clamp, block.clamp) - raw).sum(2) / degree
    lowered = cut * cut.new_tensor([1.0, -1.0, -1.0, -1.0])
    mixed = x @ lowered.mT
    return _State(state.h, gram + mixed + mixed.mT + cut @ lowered.mT, x + cut)
