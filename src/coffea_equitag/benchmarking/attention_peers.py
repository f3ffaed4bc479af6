"""The official attention taggers: weaver-core's Particle Transformer, lgatr's L-GATr-slim, lloca's LLoCa-Transformer.

Each has the default options of ours, and so the same number of weights but for those that no output sees. Jets are
padded to the largest, or lie one after the other in one sequence with a block-diagonal mask, the ragged form that lgatr
and lloca take on CPUs, where their sparse backends do not run; weaver-core's network of the pairs is sparse by itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..invariants.frame_features import frame_features
from ..jets.ragged import RaggedJets
from ..models.lgatr_slim import LGATrSlim
from ..models.lloca_inputs import with_references
from ..models.particle_transformer import ParticleTransformer
from .padded.lgatr_slim import spurions_before
from .padded.masking import pad, real
from .peer import Peer

__all__ = ["ATTENTION_PEERS"]


def _transformer(module: Any, ours: ParticleTransformer) -> nn.Module:
    network: nn.Module = module.ParticleTransformer(
        7,
        2,
        pair_input_dim=4,
        use_pre_activation_pair=False,
        trim=False,  # which would cut jets at random in training
    )
    return network


def _transformer_inputs(network: Any, ours: ParticleTransformer, jets: RaggedJets) -> Callable[[], Tensor]:
    mask = real(jets, int(jets.counts.max()))
    features = pad(ours.features(jets), mask).mT.contiguous()
    momenta = pad(jets.p4[:, [1, 2, 3, 0]].to(ours.dtype), mask).mT.contiguous()
    here = mask[:, None]

    def run() -> Tensor:
        out: Tensor = network(features, v=momenta, mask=here)
        return out

    return run


def _slim(module: Any, ours: LGATrSlim) -> nn.Module:
    options = ours.options
    network: nn.Module = module.LGATrSlim(
        num_blocks=options["n_layers"],
        in_v_channels=1,
        out_v_channels=0,
        hidden_v_channels=options["vectors"],
        in_s_channels=1,
        out_s_channels=2,
        hidden_s_channels=options["scalars"],
        num_heads=options["n_heads"],
        mlp_ratio=options["mlp_ratio"],
    )
    return network


def _slim_inputs(network: Any, ours: LGATrSlim, jets: RaggedJets) -> Callable[[], Tensor]:
    """Token, spurions and momenta; the output is that of the token."""
    nodes = spurions_before(ours, jets)
    mask = real(nodes, int(nodes.counts.max()))
    vectors = pad((nodes.p4 / ours.options["unit"]).to(ours.dtype), mask)[:, :, None]
    scalars, attention_mask = pad(ours.scalars(jets, nodes), mask), mask[:, None, None]

    def run() -> Tensor:
        out: Tensor = network(vectors, scalars, attn_mask=attention_mask)[1][:, 0]
        return out

    return run


def _slim_sequence(network: Any, ours: LGATrSlim, jets: RaggedJets) -> Callable[[], Tensor]:
    nodes = spurions_before(ours, jets)
    vectors = (nodes.p4 / ours.options["unit"]).to(ours.dtype)[None, :, None]
    scalars, attention_mask = ours.scalars(jets, nodes)[None], _block_diagonal(nodes, ours.dtype)

    def run() -> Tensor:
        out: Tensor = network(vectors, scalars, attn_mask=attention_mask)[1][0, nodes.offsets[:-1]]
        return out

    return run


def _canonical(module: Any, ours: Any) -> nn.Module:
    vectors, frames = map(importlib.import_module, ("lloca.equivectors.mlp", "lloca.framesnet.equi_frames"))
    predictor = partial(vectors.MLPVectors, num_scalars=7, hidden_channels=128, num_layers_mlp=2)
    backbone = module.Transformer(
        in_channels=7, attn_reps="8x0n+2x1n", out_channels=2, num_blocks=10, num_heads=8, mlp_factor=4
    )
    return nn.ModuleDict({"frames": frames.LearnedPDFrames(predictor), "backbone": backbone})


def _canonical_inputs(network: Any, ours: Any, jets: RaggedJets, sequence: bool = False) -> Callable[[], Tensor]:
    """Frames of the nodes, references included, from the ragged momenta; the transformer sees the constituents.

    The output is the mean over them.
    """
    nodes, dtype = with_references(jets, 5e-3), ours.dtype
    mask, own = real(jets, int(jets.counts.max())), ~nodes.columns["reference"]
    momenta, constituents, total = (p4.to(dtype) for p4 in (nodes.p4, jets.p4, jets.jet_p4))
    jet = total.repeat_interleave(jets.counts, dim=0)
    scalars = momenta.new_zeros(len(momenta), 7)
    scalars[own] = frame_features(jets.p4, jets.jet_p4.repeat_interleave(jets.counts, dim=0)).to(dtype)
    network.frames.equivectors.init_standardization(momenta, nodes.offsets)
    frames_of = importlib.import_module("lloca.framesnet.frames").Frames
    attention_mask = _block_diagonal(jets, dtype) if sequence else mask[:, None, None]
    here, identity = mask[..., None].to(momenta), torch.eye(4).to(momenta)

    def run() -> Tensor:
        frames = network.frames(momenta, scalars=scalars, ptr=nodes.offsets).matrices[own]
        seen = frame_features(*(frames @ torch.stack([constituents, jet], dim=2)).unbind(2))
        if sequence:
            packed = network.backbone(seen, frames_of(frames), p_ref=total, ptr=jets.offsets, attn_mask=attention_mask)
            padded = pad(packed, mask)
        else:
            everywhere = identity.expand(*mask.shape, 4, 4).clone()
            everywhere[mask] = frames
            padded = network.backbone(pad(seen, mask), frames_of(everywhere), p_ref=total, attn_mask=attention_mask)
        out: Tensor = (padded * here).sum(1) / jets.counts[:, None]
        return out

    return run


def _block_diagonal(nodes: RaggedJets, dtype: torch.dtype) -> Tensor:
    """0 between nodes of the same jet and −∞ elsewhere, (N, N)."""
    jet = torch.repeat_interleave(torch.arange(nodes.num_jets, device=nodes.device), nodes.counts)
    return torch.zeros((), dtype=dtype, device=jet.device).masked_fill(jet[:, None] != jet, -torch.inf)


_PADDED, _SEQUENCE = "padded to the largest", "one sequence, block-diagonal mask"
_BACKBONE = "lloca.backbone.transformer"

#: The networks compared with ours.
ATTENTION_PEERS = (
    Peer(
        f"Particle Transformer, {_PADDED}",
        "weaver-core",
        "weaver.nn.model.ParticleTransformer",
        "particle_transformer",
        _transformer,
        _transformer_inputs,
    ),
    Peer(f"L-GATr-slim, {_PADDED}", "lgatr", "lgatr", "lgatr_slim", _slim, _slim_inputs),
    Peer(f"L-GATr-slim, {_SEQUENCE}", "lgatr", "lgatr", "lgatr_slim", _slim, _slim_sequence),
    Peer(f"LLoCa-Transformer, {_PADDED}", "lloca", _BACKBONE, "lloca_transformer", _canonical, _canonical_inputs),
    Peer(
        f"LLoCa-Transformer, {_SEQUENCE}",
        "lloca",
        _BACKBONE,
        "lloca_transformer",
        _canonical,
        partial(_canonical_inputs, sequence=True),
    ),
)
