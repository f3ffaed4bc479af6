"""PFN on padded jets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...models.pfn import PFN
from ..neighbours import friend_scalars
from ..padded_jets import PaddedJets
from ..pair_products import pair_products

__all__ = ["outputs"]


def outputs(model: PFN, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes)."""
    latent = model.input_norm(model.features(jets.rows()))
    nodes = None
    if model.node_patch is not None:
        kind, sizes = model.options["nodewise"], model.options["friends"]
        nodes = model.node_patch(friend_scalars(kind, jets, sizes, pair_products(jets)).flatten(0, 1))
    for layer in model.phi:
        given = latent if nodes is None or not isinstance(layer, nn.Linear) else torch.cat([latent, nodes], dim=1)
        latent = layer(given)
    logits: Tensor = model.f(jets.sum(latent.view(*jets.size, latent.shape[1])))
    return logits
