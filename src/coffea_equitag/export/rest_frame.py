"""The rest frames of padded jets."""

from __future__ import annotations

import torch
from torch import Tensor

from ..layers.rest_frame import RestFrame
from .padded_jets import PaddedJets

__all__ = ["rest_frame"]


def rest_frame(nodes: PaddedJets, gram_JWW: Tensor) -> RestFrame:
    """As `RestFrame.of`, with momenta (J, W, 4)."""
    dot_total = gram_JWW.sum(2)
    square = dot_total.sum(1)
    mass = torch.where(square > 0, square, 1.0).sqrt() * (square > 0)
    frame = RestFrame(nodes.p4, mass, nodes.sum(nodes.p4))
    direction, speed, inverse_gamma = (values[:, None] for values in frame.motion())
    energy = (dot_total / torch.where(mass > 0, mass, 1.0)[:, None])[..., None]
    parallel = (nodes.p4[..., 1:] * direction).sum(2, keepdim=True)
    three = nodes.p4[..., 1:] - parallel * direction
    three = three + direction * (parallel * inverse_gamma - energy * speed)
    p4 = torch.where((mass > 0)[:, None, None], torch.cat([energy, three], dim=2), 0.0)
    return RestFrame(nodes.masked(p4), mass, frame.total)
