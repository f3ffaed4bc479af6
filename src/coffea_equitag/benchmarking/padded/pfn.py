"""PFN in plain torch on padded jets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...jets.ragged import RaggedJets
from ...models.pfn import PFN
from .kinematic import kinematic_form
from .masking import masked_norm, pad, real
from .patches import friend_form

__all__ = ["padded"]


def padded(model: PFN, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """PFN on jets padded to `width`; features other than the seven usual ones are given.

    Padding is masked in the sum.
    """
    mask = real(jets, width)
    if model.options["inputs"] == "kinematic" and not model.options["mirrored"]:
        features = kinematic_form(jets, mask, model.dtype)
    else:
        given = pad(model.features(jets).detach(), mask)

        def features() -> Tensor:
            return given

    weights, patch, sizes = mask[..., None].to(model.dtype), model.node_patch, model.options["friends"]
    groups = friend_form(model.options["nodewise"], sizes, jets, mask, model.dtype)

    def run() -> Tensor:
        latent, nodes = features(), None if patch is None else patch(groups())
        for layer in (model.input_norm, *model.phi):
            if nodes is not None and isinstance(layer, nn.Linear):
                latent = torch.cat([latent, nodes], dim=-1)
            latent = masked_norm(layer, latent, mask) if isinstance(layer, nn.BatchNorm1d) else layer(latent)
        logits: Tensor = model.f((latent * weights).sum(1))
        return logits

    return run
