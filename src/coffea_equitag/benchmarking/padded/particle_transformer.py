"""Particle Transformer in plain torch on padded jets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...jets.ragged import RaggedJets
from ...models.particle_transformer import ParticleTransformer
from .attention import attention, heads_of, joined
from .kinematic import kinematic_form
from .masking import masked_norm, pad, real

__all__ = ["padded"]

_FLOOR = 1e-8


def padded(model: ParticleTransformer, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """Particle Transformer on jets padded to `width`, like the official code.

    The pairs' network sees the real pairs j ≤ i only, gathered from the batch, and its outputs are scattered to
    (J, H, width, width); padding is masked in each attention. Features other than the usual ones are given.
    """
    mask, momenta = real(jets, width), pad(jets.p4.to(model.dtype), real(jets, width))
    features = _features(model, jets, mask)
    blocks: list[Any] = list(model.blocks)
    class_blocks: list[Any] = list(model.class_blocks)
    with_token = nn.functional.pad(mask, (1, 0), value=True)

    def run() -> Tensor:
        x = _embedded(model.embedding, features(), mask)
        bias = None if model.pair_bias is None else _bias(model.pair_bias, momenta, mask)
        for block in blocks:
            query, key, value = block.attention.in_proj(block.before(x)).chunk(3, dim=2)
            x = _completed(block, x, query, key, value, mask, bias)
        token: Tensor = model.class_token.expand(len(x), 1, -1)
        for block in class_blocks:
            seen = block.before(torch.cat([token, x], dim=1))
            width, weight, inputs = x.shape[2], block.attention.in_proj.weight, block.attention.in_proj.bias
            query = nn.functional.linear(token, weight[:width], inputs[:width])
            key, value = nn.functional.linear(seen, weight[width:], inputs[width:]).chunk(2, dim=2)
            token = _completed(block, token, query, key, value, with_token, None)
        logits: Tensor = model.head(model.norm(token[:, 0]))
        return logits

    return run


def _features(model: ParticleTransformer, jets: RaggedJets, mask: Tensor) -> Callable[[], Tensor]:
    if model.options["inputs"] == "kinematic" and not model.options["mirrored"]:
        return kinematic_form(jets, mask, model.dtype)
    given = pad(model.features(jets), mask)
    return lambda: given


def _embedded(layers: nn.Sequential, values: Tensor, mask: Tensor) -> Tensor:
    norm, *rest = layers
    assert isinstance(norm, nn.BatchNorm1d)
    values = masked_norm(norm, values, mask)
    for layer in rest:
        values = layer(values)
    return values * mask[..., None].to(values)


def _completed(
    block: Any, rows: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor | None
) -> Tensor:
    """A block's attention and feed-forward network; rows (J, W, C)."""
    query, key, value = (heads_of(part, block.heads) for part in (query, key, value))
    dropout = block.attention.dropout if block.training else 0.0
    attended = block.attention.out_proj(joined(attention(query, key, value, mask, bias, dropout)))
    scaled = joined(heads_of(attended, block.heads) * block.head_scale[:, None, None])
    rows = rows + block.after(scaled)
    out: Tensor = block.residual_scale * rows + block.feed_forward(rows)
    return out


def _bias(network: Any, momenta: Tensor, mask: Tensor) -> Tensor:
    """Bias (J, H, W, W) of the attention, 0 for what is no pair."""
    jets, width = mask.shape
    first, second = torch.tril_indices(width, width, offset=0 if network.with_self else -1, device=mask.device)
    jet, pair = (mask[:, first] & mask[:, second]).nonzero(as_tuple=True)
    i, j = first[pair], second[pair]
    values = _pair_features(momenta[jet, i], momenta[jet, j])
    for layer in network.embed:
        values = layer(values)
    bias = values.new_zeros(jets, width, width, network.heads)
    bias = bias.index_put((jet, i, j), values).index_put((jet, j, i), values)
    return bias.permute(0, 3, 1, 2)


def _pair_features(one: Tensor, other: Tensor) -> Tensor:
    """Logarithms of kT, z, ΔR and m² of pairs, from (E, px, py, pz)."""
    (pt, y, phi), (pt_other, y_other, phi_other) = _polar(one), _polar(other)
    d_phi = torch.remainder(phi - phi_other + math.pi, 2 * math.pi) - math.pi
    delta2 = (y - y_other).square() + d_phi.square()
    softer, both = torch.minimum(pt, pt_other), one + other
    # roots of what is not 0, where they would have no derivative
    kt, delta = (values.clamp(min=_FLOOR**2).sqrt() for values in (softer.square() * delta2, delta2))
    z = softer / (pt + pt_other).clamp(min=_FLOOR)
    square = both[:, 0].square() - both[:, 1:].square().sum(1)
    return torch.stack([kt, z, delta, square], dim=1).clamp(min=_FLOOR).log()


def _polar(momenta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Transverse momentum, rapidity, azimuth."""
    energy, px, py, pz = momenta.unbind(1)
    rapidity = 0.5 * torch.log(1 + 2 * pz / (energy - pz).clamp(min=1e-20))
    return torch.hypot(px, py), rapidity, torch.atan2(py, px)
