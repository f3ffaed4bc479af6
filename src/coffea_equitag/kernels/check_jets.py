"""The jets and the networks on which kernels are checked against layers: always the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..jet_model import JetModel
from ..jets.ragged import RaggedJets, boundaries
from ..layers.attention import Attention
from ..layers.slim import SlimDropout

__all__ = ["check_jets", "in_bf16", "twin"]

_Network = TypeVar("_Network", bound=nn.Module)

#: Constituents: alone, in pairs, within one register tile, and in more than one.
_COUNTS = (1, 2, 5, 16, 19)
#: Clamp of LorentzNet's components in GeV, of which these jets have many that are larger.
_CLAMP = 1.0


def check_jets(fields: Iterable[str]) -> RaggedJets:
    """A handful of jets of massless and massive constituents, with the given columns."""
    counts = torch.tensor(_COUNTS)
    total, offsets = int(counts.sum()), boundaries(counts)
    generator = torch.Generator().manual_seed(1)

    def draw() -> Tensor:
        return torch.randn(total, generator=generator, dtype=torch.float64)

    jet = torch.repeat_interleave(torch.arange(len(counts)), counts)
    pt = 1.0 + 20.0 * draw() ** 2
    eta, phi = 0.4 * jet - 0.8 + 0.25 * draw(), 1.1 * jet + 0.25 * draw()
    mass = 0.13957 * (draw() > 0).double()
    momenta = torch.stack([pt * torch.cos(phi), pt * torch.sin(phi), pt * torch.sinh(eta)], dim=1)
    p4 = torch.cat([(momenta.square().sum(1) + mass**2).sqrt()[:, None], momenta], dim=1)
    kinds = {"charge": torch.tensor([-1, 0, 1]), "pdgId": torch.tensor([11, -13, 22, 211, -211, 130])}
    columns = {
        name: kinds[name][(7 * draw()).long() % len(kinds[name])] if name in kinds else 0.1 * draw() for name in fields
    }
    jet_p4 = p4.new_zeros(len(counts), 4).index_add_(0, jet, p4)
    return RaggedJets(p4=p4, mass=mass, offsets=offsets, jet_p4=jet_p4, columns=columns)


def twin(model: JetModel) -> JetModel:
    """A float32 network of the same options on the CPU, with fixed weights that are not the initial ones.

    Initial weights leave too much at 0 or 1: BatchNorm's statistics, biases, the steps of LorentzNet's vectors. Nothing
    is dropped: kernels draw what they drop in their own way. A clamp is so tight that it cuts.
    """
    options = dict(model.options)
    if options.get("clamp") is not None:
        options["clamp"] = min(options["clamp"], _CLAMP)
    generator = torch.Generator().manual_seed(2)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        torch.default_generator.manual_seed(3)
        network = type(model)(**options).float()
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if isinstance(module, Attention):
                module.dropout = 0.0
            if isinstance(module, SlimDropout):
                module.probability = 0.0
            if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None:
                module.running_mean.uniform_(-0.5, 0.5, generator=generator)
                assert module.running_var is not None
                module.running_var.uniform_(0.5, 2.0, generator=generator)
    return network


def in_bf16(network: _Network) -> _Network:
    """The same network, whose linear layers round their inputs and matrices to bf16 from now on."""

    def rounded(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x.bfloat16().to(x.dtype) for x in inputs)

    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                layer.weight.copy_(layer.weight.bfloat16())
            layer.register_forward_pre_hook(rounded)
    return network
