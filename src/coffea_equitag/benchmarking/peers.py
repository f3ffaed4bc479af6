"""Networks of the same kind from other packages, if installed: pelican-lite, weaver-core, lgatr, lloca.

Each is built at the size its paper uses for top tagging, with random weights, and its number of parameters is reported;
PELICAN and ParticleNet are not mathematically identical to ours. Inputs are prepared in advance in the form each one
needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from ..invariants.weaver_variables import kinematic_features
from ..jets.ragged import RaggedJets
from ..models.pelican import PELICAN
from . import networks
from .attention_peers import ATTENTION_PEERS
from .clock import Spread, in_turn, seconds_of
from .forms import OURS, forms_of
from .memory import Ask
from .padded.masking import pad, real
from .peer import Peer
from .workloads import WORKLOADS, random_jets, representative

__all__ = ["PEERS", "Peer", "compare", "one_batch"]


def compare(
    models: tuple[str, ...],
    workloads: tuple[str, ...],
    passes: tuple[str, ...],
    seconds: float,
    device: str,
    ask: Ask | None = None,
) -> list[dict[str, Any]]:
    """Time each peer of some of our networks that can be imported against that network, in turn on the same jets.

    `ask`, from `memory_server`, measures the memory of both too.
    """
    return [
        _compare(peer, module, workload, name, seconds, device, ask)
        for peer, module in _installed()
        if peer.ours in models
        for workload in workloads
        for name in passes
    ]


def one_batch(peer: str, ours: Any, jets: RaggedJets, backward: bool) -> Callable[[], Tensor]:
    """The pass of an installed peer, by its name, over some jets."""
    (theirs, prepare) = next(
        (_built(one, module, ours), one.prepare) for one, module in _installed() if one.name == peer
    )
    return networks.one_pass(theirs, prepare(theirs, ours, jets), backward)


def _built(peer: Peer, module: Any, ours: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return peer.make(module, ours)


def _compare(
    peer: Peer, module: Any, workload: str, name: str, seconds: float, device: str, ask: Ask | None
) -> dict[str, Any]:
    backward = bool(networks.PASSES.index(name))
    ours = networks.build(peer.ours, device)
    theirs = _built(peer, module, ours).to(device)
    jets = random_jets(WORKLOADS[workload], networks.BATCHES.get(peer.ours, 100), ours.fields).to(torch.device(device))
    pilot = networks.one_pass(theirs, peer.prepare(theirs, ours, representative(jets, 2)), backward)
    pilot()
    number = max(2, min(jets.num_jets, int(seconds / 2 / max(seconds_of(pilot, device) / 2, 1e-9))))
    some = representative(jets, number)
    tasks = {
        OURS: networks.one_pass(ours, forms_of(ours, jets)[OURS](some), backward),
        peer.name: networks.one_pass(theirs, peer.prepare(theirs, ours, some), backward),
    }
    for task in tasks.values():
        task()
    times = in_turn(tasks, seconds, device)
    asked = {"kind": peer.ours, "workload": asdict(WORKLOADS[workload]), "batch": jets.num_jets, "jets": number}
    asked |= {"backward": backward, "options": {}}
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
        "bytes": _bytes(ask, "one_of_peer", peer=peer.name, **asked),
        "our_bytes": _bytes(ask, "one_batch", form=OURS, **asked),
    }


def _bytes(ask: Ask | None, task: str, **arguments: Any) -> float | None:
    answer = None if ask is None else ask(task, **arguments)
    return None if answer is None else answer["bytes"]


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
    *ATTENTION_PEERS,
)
