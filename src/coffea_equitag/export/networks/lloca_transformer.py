"""LLoCa-Transformer on padded jets."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...invariants.frame_features import frame_features
from ...layers.polar_frame import products
from ...layers.tensorial_attention import LocalFrames
from ...models.lloca_inputs import reference_vectors, with_least_mass
from ...models.lloca_transformer import LLoCaTransformer
from ...models.pelican_inputs import columns_as_scalars
from ..padded_jets import PaddedJets
from ..padded_squares import PaddedSquares
from ..pair_products import pair_products
from ..rest_frame import rest_frame

__all__ = ["outputs"]


def outputs(model: LLoCaTransformer, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes), or momenta (J, 4)."""
    given, jets = jets, _heavy(model, jets)
    nodes = jets.prepend(*reference_vectors(model.options["least_mass"])) if model.extra_nodes else jets
    gram = pair_products(nodes)
    rest = rest_frame(nodes, gram).p4
    # a constituent alone is at rest but for rounding, which has a direction
    alone = (nodes.counts == 1)[:, None, None]
    rest = torch.where(alone, rest * rest.new_tensor([1.0, 0.0, 0.0, 0.0]), rest)
    columns_NS = columns_as_scalars(jets.rows(), model.fields, model.dtype)
    frames_N44 = model.frames.of_run(
        gram, rest, _scalars(model, jets, nodes, columns_NS), model.extra_nodes, nodes.real
    )
    frames_N44 = torch.where(jets.real.flatten()[:, None, None], frames_N44, torch.eye(4).to(frames_N44))
    seen_NF, frames = _seen(model, jets, columns_NS, rest[:, model.extra_nodes :], frames_N44)
    h_NC = model.embedding(seen_NF)
    squares = PaddedSquares(jets)
    for block in model.blocks:
        h_NC = block(h_NC, frames, squares)
    h = h_NC.view(*jets.size, h_NC.shape[1])
    if model.output == "momentum":
        return given.sum(model.head(h).double() * given.p4)
    logits: Tensor = model.head(jets.mean(h))
    return logits


def _heavy(model: LLoCaTransformer, jets: PaddedJets) -> PaddedJets:
    rows = with_least_mass(jets.rows(), model.options["least_mass"])
    return replace(jets, p4=jets.masked(rows.p4.view(*jets.size, 4)), mass=rows.mass.view(*jets.size))


def _scalars(model: LLoCaTransformer, jets: PaddedJets, nodes: PaddedJets, columns_NS: Tensor) -> Tensor:
    """What predicts frames of each node: (J, W, S), 0 for references."""
    own = columns_NS.view(*jets.size, columns_NS.shape[1])
    if model.options["laboratory"]:
        total = nodes.sum(nodes.p4)[:, None].expand_as(jets.p4).flatten(0, 1)
        features = frame_features(jets.p4.flatten(0, 1), total).to(model.dtype)
        own = torch.cat([own, features.view(*jets.size, features.shape[1])], dim=2)
    return torch.nn.functional.pad(own, (0, 0, model.extra_nodes, 0))


def _seen(
    model: LLoCaTransformer, jets: PaddedJets, columns_NS: Tensor, rest: Tensor, frames_N44: Tensor
) -> tuple[Tensor, LocalFrames]:
    """What the embedding sees of the constituents in their frames, and these as attention uses them."""
    total = jets.sum(rest)[:, None].expand_as(rest).flatten(0, 1)
    both = torch.stack([rest.flatten(0, 1), total], dim=2)
    own, jet = products(frames_N44, both).unbind(2)
    frames = LocalFrames.of(frames_N44, model.gamma(jet, total), model.dtype)
    return torch.cat([columns_NS, frame_features(own, jet).to(model.dtype)], dim=1), frames
