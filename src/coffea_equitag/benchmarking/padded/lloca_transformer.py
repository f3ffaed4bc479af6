"""LLoCa-Transformer in plain torch on padded jets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...invariants.frame_features import frame_features
from ...jets.ragged import RaggedJets
from ...layers.polar_frame import polar_frames
from ...layers.tensorial_attention import LocalFrames
from ...models.lloca_inputs import with_least_mass, with_references
from ...models.lloca_transformer import LLoCaTransformer
from ...models.pelican_inputs import columns_as_scalars
from .attention import attention
from .masking import pad, real

__all__ = ["padded"]


def padded(model: LLoCaTransformer, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """LLoCa-Transformer on jets padded to `width`, in the laboratory frame and in the network's precision.

    The frames' network sees all pairs of nodes, (J, width, references + width), with concatenated inputs.
    """
    options, first, dtype = model.options, model.extra_nodes, model.dtype
    jets = with_least_mass(jets, options["least_mass"])
    nodes = with_references(jets, options["least_mass"]) if first else jets
    mask, everywhere = real(jets, width), real(nodes, width + first)
    momenta, columns = pad(nodes.p4.to(dtype), everywhere), pad(columns_as_scalars(jets, model.fields, dtype), mask)
    # whatever stands in the padding has to have a frame
    momenta[~everywhere] = momenta.new_tensor([1.0, 0.0, 0.0, 0.5])
    blocks: list[Any] = list(model.blocks)
    here, counts = mask[..., None].to(momenta), jets.counts[:, None].clamp(min=1)

    def run() -> Tensor:
        own = momenta[:, first:]
        scalars = columns
        if options["laboratory"]:
            total = (momenta * everywhere[..., None]).sum(1, keepdim=True).expand_as(own)
            scalars = torch.cat([scalars, _seen(own, total)], dim=2)
        frames = _frames(model.frames, momenta, scalars, everywhere, first)
        jet = (own * here).sum(1)
        local = (frames @ torch.stack([own, jet[:, None].expand_as(own)], dim=3)).unbind(3)
        h = model.embedding(torch.cat([columns, _seen(*local)], dim=2))
        gamma = model.gamma(local[1].flatten(0, 1), jet.repeat_interleave(width, 0))
        carried = LocalFrames.of(frames.flatten(0, 1), gamma, dtype)
        for block in blocks:
            normed = nn.functional.layer_norm(h, h.shape[2:])
            h = h + block.dropout(_attention(block.attention, normed, carried, mask))
            h = h + block.mlp(nn.functional.layer_norm(h, h.shape[2:]))
        logits: Tensor = model.head((h * here).sum(1) / counts)
        return logits

    return run


def _seen(own: Tensor, jet: Tensor) -> Tensor:
    return frame_features(own.flatten(0, 1), jet.flatten(0, 1)).view(*own.shape[:2], -1)


def _attention(layer: Any, h: Tensor, frames: LocalFrames, mask: Tensor) -> Tensor:
    """What a layer gives, (J, W, C); heads run fastest in its channels."""
    qkv = layer.qkv(h).flatten(0, 1).view(mask.numel(), 3, -1, layer.heads).permute(1, 0, 3, 2)
    lowered = frames.to_common * frames.to_common.new_tensor([1.0, -1.0, -1.0, -1.0])[:, None]
    into = (frames.to_common, lowered, frames.to_common)
    parts = (layer._carried(values, matrices) for values, matrices in zip(qkv, into, strict=True))
    q, k, v = (part.view(*mask.shape, layer.heads, -1).transpose(1, 2) for part in parts)
    found = attention(q, k, v, mask).transpose(1, 2).flatten(0, 1)
    out: Tensor = layer.out(layer._carried(found, frames.to_local).view(*mask.shape, -1))
    return out


def _frames(network: Any, momenta: Tensor, scalars: Tensor, mask: Tensor, first: int) -> Tensor:
    """Frames (J, W, 4, 4) of the constituents, from all pairs with the nodes (J, first + W, 4)."""
    metric = momenta.new_tensor([1.0, -1.0, -1.0, -1.0])
    both = momenta[:, first:, None] + momenta[:, None]
    square = (both.square() * metric).sum(-1).clamp(min=0)
    edge = (square.clamp(min=1e-10).log() - network.edge_mean) / network.edge_std
    sent = nn.functional.pad(scalars, (0, 0, first, 0))
    shape = (*square.shape, scalars.shape[2])
    inputs = torch.cat([scalars[:, :, None].expand(shape), sent[:, None].expand(shape), edge[..., None]], dim=-1)
    logits = network.rest(network.first(inputs))
    itself = torch.ones_like(square[0], dtype=torch.bool).tril(first).triu(first)
    absent = (itself | ~mask[:, None])[..., None]
    weights = torch.softmax(logits.masked_fill(absent, torch.finfo(logits.dtype).min), dim=2).masked_fill(absent, 0)
    share = weights / square.clamp(min=1e-12).sqrt()[..., None]
    vectors = torch.einsum("jiks,jikm->sjim", share, both)
    vectors = vectors / (vectors.square() * metric).sum(-1).sum(0).abs().clamp(min=1e-10).sqrt()[..., None]
    # n nodes have n − 1 independent vectors
    independent = torch.arange(3, device=mask.device)[:, None] < mask.sum(1) - 1
    vectors = vectors * independent[:, :, None, None]
    mass = (vectors[0].square() * metric).sum(-1).clamp(min=1e-20).sqrt()
    own = momenta[:, first:]
    frames = polar_frames(vectors.flatten(1, 2), mass.flatten(), own.flatten(0, 1))
    return frames.view(*own.shape[:2], 4, 4)
