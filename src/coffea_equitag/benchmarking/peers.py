"""Networks of the same kind from other packages, if installed: pelican-lite, weaver-core, lgatr, lloca.

They are not mathematically identical to ours: each is built at about the size its paper uses for top tagging, with
random weights, and its number of parameters is reported. Inputs are prepared in advance in the form each one needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from ..invariants.kinematic import kinematic_features
from ..jets.ragged import RaggedJets
from ..models.beams import with_beams
from ..models.pelican import PELICAN
from . import networks
from .clock import Spread, in_turn, seconds_of
from .forms import OURS, forms_of
from .padded.masking import pad, real
from .workloads import WORKLOADS, random_jets, representative

__all__ = ["PEERS", "Peer", "compare"]


@dataclass(frozen=True)
class Peer:
    """A network from another package.

    Attributes
    ----------
    name, package : str
        The network, and the package it is from.
    module : str
        Module to import.
    ours : str
        Kind of our network that it is compared with.
    make : callable
        From the imported module and our network to the peer's network.
    prepare : callable
        From the peer's network, ours and jets to a function that computes logits.
    """

    name: str
    package: str
    module: str
    ours: str
    make: Callable[[Any, Any], nn.Module]
    prepare: Callable[[Any, Any, RaggedJets], Callable[[], Tensor]]


def compare(workloads: tuple[str, ...], passes: tuple[str, ...], seconds: float, device: str) -> list[dict[str, Any]]:
    """Time each peer that can be imported against our network of its kind, in turn on the same jets."""
    return [
        _compare(peer, module, workload, name, seconds, device)
        for peer, module in _installed()
        for workload in workloads
        for name in passes
    ]


def _compare(peer: Peer, module: Any, workload: str, name: str, seconds: float, device: str) -> dict[str, Any]:
    backward = bool(networks.PASSES.index(name))
    ours = networks.build(peer.ours, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        theirs: Any = peer.make(module, ours).to(device)
    jets = random_jets(WORKLOADS[workload], networks.BATCHES.get(peer.ours, 100), ours.fields).to(torch.device(device))
    pilot = networks.one_pass(theirs, peer.prepare(theirs, ours, representative(jets, 2)), backward)
    pilot()
    number = max(2, min(jets.num_jets, int(seconds / 6 / max(seconds_of(pilot, device) / 2, 1e-9))))
    some = representative(jets, number)
    tasks = {
        OURS: networks.one_pass(ours, forms_of(ours, jets)[OURS](some), backward),
        peer.name: networks.one_pass(theirs, peer.prepare(theirs, ours, some), backward),
    }
    for task in tasks.values():
        task()
    times = in_turn(tasks, seconds, device)
    return {
        "peer": f"{peer.package} {version(peer.package)}: {peer.name}",
        "parameters": sum(p.numel() for p in theirs.parameters()),
        "ours": peer.ours,
        "our_parameters": ours.num_parameters(),
        "workload": workload,
        "pass": name,
        "jets": number,
        "ms": asdict(Spread.of(times[peer.name]).scaled(1e3 / number)),
        "times_ours": asdict(Spread.of([a / b for a, b in zip(times[peer.name], times[OURS], strict=True)])),
    }


def _installed() -> Iterator[tuple[Peer, Any]]:
    for peer in PEERS:
        try:
            yield peer, importlib.import_module(peer.module)
        except ImportError:
            continue


def _pelican(module: Any, ours: Any) -> nn.Module:
    network: nn.Module = module.PELICAN(
        in_channels_rank2=1,
        in_channels_rank1=1 + ours.extra_nodes,
        in_channels_rank0=0,
        out_rank=0,
        out_channels=2,
        num_blocks=5,
        hidden_channels=25,
        factorize=True,
        dropout_prob=0.025,
    )
    return network


def _pelican_inputs(network: Any, ours: PELICAN, jets: RaggedJets) -> Callable[[], Tensor]:
    """Edges for all pairs, i = j included, with p_i·p_j; nodes with their kinds."""
    spurions = jets.p4.new_tensor(ours.broken.spurions)
    nodes = jets.prepend(spurions, spurions.new_zeros(len(spurions)))
    kinds = ours.scalars(jets)
    counts, start = nodes.counts.tolist(), nodes.offsets[:-1].tolist()
    pairs = [torch.cartesian_prod(*[torch.arange(at, at + n)] * 2) for at, n in zip(start, counts, strict=True)]
    edges = torch.cat(pairs).T.contiguous().to(jets.device)
    p4 = nodes.p4.to(ours.dtype)
    products = (p4[edges[0]] * p4[edges[1]] * p4.new_tensor([1.0, -1.0, -1.0, -1.0])).sum(1, keepdim=True)
    batch = torch.repeat_interleave(torch.arange(nodes.num_jets, device=jets.device), nodes.counts)

    def run() -> Tensor:
        out: Tensor = network(edges, batch, in_rank2=products, in_rank1=kinds, num_graphs=nodes.num_jets)
        return out

    return run


def _particlenet(module: Any, ours: Any) -> nn.Module:
    network: nn.Module = module.ParticleNet(
        7,
        2,
        conv_params=[(16, (64,) * 3), (16, (128,) * 3), (16, (256,) * 3)],
        fc_params=[(256, 0.1)],
        use_fusion=False,
        trim=False,  # which would cut jets at random in training
    )
    return network


def _particlenet_inputs(network: Any, ours: Any, jets: RaggedJets) -> Callable[[], Tensor]:
    """Features padded to the largest jet, but at least to the k + 1 constituents it needs."""
    mask = real(jets, max(int(jets.counts.max()), 17))
    features = pad(kinematic_features(jets).to(ours.dtype), mask).mT.contiguous()
    points, here = features[:, 5:7].contiguous(), mask[:, None]

    def run() -> Tensor:
        out: Tensor = network(points, features, here)
        return out

    return run


def _slim(module: Any, ours: Any) -> nn.Module:
    network: nn.Module = module.LGATrSlim(
        num_blocks=12,
        in_v_channels=1,
        out_v_channels=0,
        hidden_v_channels=32,
        in_s_channels=2,
        out_s_channels=2,
        hidden_s_channels=96,
        num_heads=8,
    )
    return network


def _slim_inputs(network: Any, ours: Any, jets: RaggedJets) -> Callable[[], Tensor]:
    """Momenta and beams in units of 20 GeV, padded to the largest jet; the output is the mean over the nodes."""
    nodes = with_beams(jets)
    mask = real(nodes, int(nodes.counts.max()))
    vectors = pad(nodes.p4.to(ours.dtype) / 20, mask)[:, :, None]
    scalars, here = pad(ours.scalars(nodes), mask), mask[..., None].to(vectors)
    attention_mask = mask[:, None, None]

    def run() -> Tensor:
        _, found = network(vectors, scalars, attn_mask=attention_mask)
        out: Tensor = (found * here).sum(1) / nodes.counts[:, None]
        return out

    return run


def _canonical(module: Any, ours: Any) -> nn.Module:
    vectors, frames = map(importlib.import_module, ("lloca.equivectors.mlp", "lloca.framesnet.equi_frames"))
    predictor = partial(vectors.MLPVectors, num_scalars=2, hidden_channels=128, num_layers_mlp=2)
    backbone = module.Transformer(
        in_channels=2 + 4, attn_reps="8x0n+2x1n", out_channels=2, num_blocks=12, num_heads=8, mlp_factor=2
    )
    return nn.ModuleDict({"frames": frames.LearnedPDFrames(predictor), "backbone": backbone})


def _canonical_inputs(network: Any, ours: Any, jets: RaggedJets) -> Callable[[], Tensor]:
    """Frames from the ragged momenta in units of 20 GeV; padded to the largest jet for the transformer."""
    nodes = with_beams(jets)
    mask = real(nodes, int(nodes.counts.max()))
    momenta, scalars = nodes.p4.to(ours.dtype) / 20, ours.scalars(nodes)
    total, here = nodes.jet_p4.to(ours.dtype) / 20, mask[..., None].to(momenta)
    network.frames.equivectors.init_standardization(momenta, nodes.offsets)
    frames_of = importlib.import_module("lloca.framesnet.frames").Frames

    def run() -> Tensor:
        frames = network.frames(momenta, scalars=scalars, ptr=nodes.offsets).matrices
        local = torch.cat([scalars, (frames @ momenta[..., None])[..., 0]], dim=1)
        everywhere = torch.eye(4).to(frames).expand(*mask.shape, 4, 4).clone()
        everywhere[mask] = frames
        found = network.backbone(pad(local, mask), frames_of(everywhere), p_ref=total, attn_mask=mask[:, None, None])
        out: Tensor = (found * here).sum(1) / nodes.counts[:, None]
        return out

    return run


#: The networks compared with ours.
PEERS = (
    Peer("PELICAN, 25 channels, list of edges", "pelican-lite", "pelican", "pelican", _pelican, _pelican_inputs),
    Peer(
        "ParticleNet, padded to the largest",
        "weaver-core",
        "weaver.nn.model.ParticleNet",
        "particlenet",
        _particlenet,
        _particlenet_inputs,
    ),
    Peer("L-GATr-slim, padded to the largest", "lgatr", "lgatr", "lorentznet", _slim, _slim_inputs),
    Peer(
        "LLoCa-Transformer, padded to the largest",
        "lloca",
        "lloca.backbone.transformer",
        "lorentznet",
        _canonical,
        _canonical_inputs,
    ),
)
