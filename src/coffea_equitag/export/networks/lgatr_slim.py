"""L-GATr-slim on padded jets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...invariants.weaver_variables import weaver_features
from ...layers.saturation import saturated
from ...models.lgatr_slim import LARGEST, LGATrSlim
from ..padded_jets import PaddedJets
from ..padded_squares import PaddedSquares
from ..pair_products import pair_products
from ..rest_frame import rest_frame

__all__ = ["outputs"]


def outputs(model: LGATrSlim, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes), or momenta (J, 4)."""
    front = jets.p4.new_tensor(model.references).view(-1, 4)
    framed = jets.prepend(front, front.new_zeros(len(front)))
    frame = rest_frame(framed, pair_products(framed))
    nodes = jets.prepend(front.new_zeros(model.extra_nodes, 4), front.new_zeros(model.extra_nodes))
    vectors = _vectors(model, frame.p4, len(front))
    squares = PaddedSquares(nodes)
    v, s = model.embedding(vectors.flatten(0, 1)[..., None], _scalars(model, jets).flatten(0, 1))
    for block in model.blocks:
        v, s = block(v, s, squares)
    s = s.view(*nodes.size, s.shape[1])
    if model.output == "classes":
        logits: Tensor = model.head(_pooled(model, s, nodes))
        return logits
    assert model.vector_head is not None
    own = jets.sum(model.head(s[:, model.extra_nodes :]).double() * jets.p4)
    moved = _pooled(model, model.vector_head(v)[..., 0].view(*nodes.size, 4), nodes)
    return own + frame.to_laboratory(moved.double() * model.options["unit"])


def _vectors(model: LGATrSlim, rest: Tensor, references: int) -> Tensor:
    """Token, spurions and constituents in the rest frame and the network's unit: (J, W, 4)."""
    beams, own = rest[:, :references], rest[:, references:] / model.options["unit"]
    parts = [own.new_zeros(own.shape[0], model.token, 4)]
    if model.spurions:
        # torch's product of matrices is traced for other numbers of jets than one
        parts.append((own.new_tensor(model.spurions)[:, :, None] * beams[:, None]).sum(2))
    return saturated(torch.cat([*parts, own], dim=1), LARGEST).to(model.dtype)


def _scalars(model: LGATrSlim, jets: PaddedJets) -> Tensor:
    """`inputs` of the constituents and 0 for the other nodes, then 1 for the token: (J, W, F)."""
    own = jets.p4.new_zeros(*jets.size, 0)
    if model.options["inputs"] is not None:
        own = weaver_features(jets.rows(), model.options["inputs"], model.options["mirrored"]).view(*jets.size, -1)
    found = nn.functional.pad(own, (0, model.token, model.extra_nodes, 0))
    if model.token:
        token = nn.functional.pad(found.new_ones(1), (found.shape[2] - 1, 0)).expand(found.shape[0], 1, -1)
        found = torch.cat([token, found[:, 1:]], dim=1)
    return found.to(model.dtype)


def _pooled(model: LGATrSlim, values: Tensor, nodes: PaddedJets) -> Tensor:
    return values[:, 0] if model.token else nodes.mean(values)
