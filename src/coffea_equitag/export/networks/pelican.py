"""PELICAN on padded jets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...layers.broken_symmetry import SYMMETRIES, along
from ...layers.saturation import saturated
from ...models.pelican import PELICAN
from ..padded_jets import PaddedJets
from ..padded_squares import PaddedSquares
from ..pair_products import pair_products

__all__ = ["outputs"]


def outputs(model: PELICAN, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes), or momenta (J, 4)."""
    nodes = jets
    if model.extra_nodes:
        spurions = jets.p4.new_tensor(model.broken.spurions)
        nodes = jets.prepend(spurions, spurions.new_zeros(len(spurions)))
    products = _with_spurions(model, jets) if model.by_spurions else _with_inputs(model, jets)
    found = model.on_squares(products.flatten(0, 2), _scalars(model, jets), PaddedSquares(nodes))
    if model.output == "classes":
        return found
    blocks = nodes.p4.new_tensor((model.broken if not model.by_spurions else SYMMETRIES["so13"]).blocks)
    weights = found.double().view(*nodes.size, len(blocks))
    return nodes.sum(torch.einsum("jnb,bkl,jnl->jnk", weights, blocks, nodes.p4))


def _with_spurions(model: PELICAN, jets: PaddedJets) -> Tensor:
    """p_i·p_j of spurions and constituents: (J, W, W, 1), float64."""
    gram, rows = pair_products(jets), jets.rows()
    if model.extra_nodes:
        q = jets.p4.new_tensor(model.broken.spurions)
        own = (q @ (q * q.new_tensor([1.0, -1.0, -1.0, -1.0])).T).expand(jets.size[0], -1, -1)
        mixed = along(model.broken.spurions, rows.p4, rows.mass).view(*jets.size, len(q))
        gram = torch.cat([torch.cat([own, mixed.mT], dim=2), torch.cat([mixed, gram], dim=2)], dim=1)
    return saturated(gram)[..., None]


def _with_inputs(model: PELICAN, jets: PaddedJets) -> Tensor:
    """r_i r_j of each input, then p_i·p_j if it is among the channels: (J, W, W, R), float64."""
    rows = jets.rows()
    r = along(model.broken.inputs, rows.p4, rows.mass).view(*jets.size, len(model.broken.inputs))
    channels = torch.cat([r[:, :, None] * r[:, None], pair_products(jets)[..., None]], dim=3)
    return saturated(channels[..., : len(model.broken.first_weights)])


def _scalars(model: PELICAN, jets: PaddedJets) -> Tensor | None:
    """The columns, then a one-hot of constituent and spurions: (J·W, S)."""
    if model.scalars_to_pairs is None:
        return None
    own, k = model.own_scalars(jets.rows()), model.extra_nodes
    if not k:
        return own
    labelled = nn.functional.pad(nn.functional.pad(own, (0, 1), value=1.0), (0, k)).view(*jets.size, -1)
    labels = nn.functional.pad(torch.eye(k).to(own), (labelled.shape[2] - k, 0))
    return torch.cat([labels.expand(jets.size[0], -1, -1), labelled], dim=1).flatten(0, 1)
