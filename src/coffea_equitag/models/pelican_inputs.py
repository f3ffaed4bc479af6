"""PELICAN's inputs: pair channels, and scalars of the nodes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..jets.ragged import RaggedJets
from ..kernels import gram
from ..layers.broken_symmetry import Symmetry, along, with_spurions
from ..layers.saturation import saturated
from ..layers.squares import Squares
from .lorentznet import PARTICLES

__all__ = ["columns_as_scalars", "first_linear", "products_with_inputs", "products_with_spurions", "with_labels"]


def products_with_spurions(jets: RaggedJets, symmetry: Symmetry, offsets: Tensor) -> Tensor:
    """p_i·p_j in GeV², (Q, 1) in float64, with the spurions before the constituents; `offsets` count them."""
    before, after = Squares.of(jets.offsets), Squares.of(offsets)
    return saturated(with_spurions(gram(jets), symmetry, jets.p4, jets.mass, before, after))[:, None]


def products_with_inputs(jets: RaggedJets, symmetry: Symmetry) -> Tensor:
    """r_i r_j for each input r, then p_i·p_j in GeV² if it is among the channels: (Q, R or R + 1) in float64."""
    squares, dot_Q = Squares.of(jets.offsets), gram(jets)
    inputs = len(symmetry.inputs)
    out = torch.cat([dot_Q.new_empty(len(dot_Q), inputs), dot_Q[:, None]], dim=1)[:, : len(symmetry.first_weights)]
    for x, r in zip(squares.blocks(out), squares.rows(along(symmetry.inputs, jets.p4, jets.mass)), strict=True):
        x[..., :inputs] = r[:, :, None] * r[:, None]
    return saturated(out)


def columns_as_scalars(jets: RaggedJets, fields: Sequence[str], dtype: torch.dtype) -> Tensor:
    """Columns of the constituents, (N, S): ``"pdgId"`` as one-hot of |id| among `PARTICLES`, others as they are."""
    columns = [
        (jets.columns[name].abs()[:, None] == jets.columns[name].new_tensor(PARTICLES)).to(dtype)
        if name == "pdgId"
        else jets.columns[name][:, None].to(dtype)
        for name in fields
    ]
    return torch.cat(columns, dim=1) if columns else jets.p4.new_zeros(jets.p4.shape[0], 0, dtype=dtype)


def with_labels(own_NS: Tensor, before: Tensor, after: Tensor, spurions: int) -> Tensor:
    """Scalars, then a one-hot: constituent, first spurion, ...; jet boundaries without and with k spurions."""
    layout, k = Squares.of(after), spurions
    out = own_NS.new_zeros(layout.num_nodes, own_NS.shape[1] + 1 + k)
    for x, values in zip(layout.rows(out), Squares.of(before).rows(own_NS), strict=True):
        x[:, k:, : own_NS.shape[1]] = values
        x[:, k:, own_NS.shape[1]] = 1
        x[:, :k, own_NS.shape[1] + 1 :] = torch.eye(k).to(x)
    return out


def first_linear(weights: Sequence[float], outputs: int) -> nn.Linear:
    """The same weights for every output; made without random numbers, so that all other layers draw the same."""
    linear = nn.Linear(len(weights), outputs, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(weights))
        assert linear.bias is not None
        linear.bias.zero_()
    return linear
