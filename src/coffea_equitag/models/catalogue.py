"""What each model is, what it needs and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from .. import kernels
from ..jets.ragged import RaggedJets
from ..models import build, names

__all__ = ["Entry", "catalogue"]


@dataclass(frozen=True)
class Entry:
    """A model with its default options.

    Attributes
    ----------
    kind, paper, symmetry : str
        Name for `coffea_equitag.models.build`, source, what the logits are invariant under.
    fields : tuple of str
        Constituent columns needed beside the four-momenta.
    parameters : int
        Trainable parameters.
    flops : int
        Floating-point operations in the matrix products of one forward pass of one jet.
    """

    kind: str
    paper: str
    symmetry: str
    fields: tuple[str, ...]
    parameters: int
    flops: int


def catalogue(constituents: int = 50) -> Iterator[Entry]:
    """List every model, with its cost for one jet of the given multiplicity."""
    for kind in names():
        model = build(kind).eval()
        parameters = model.num_parameters()
        model.requires_grad_(False)  # the counter would follow gradients
        jet = _jet(constituents, model.fields)
        with torch.no_grad(), kernels.use("reference"), FlopCounterMode(display=False) as counter:
            model(jet)
        yield Entry(
            kind=kind,
            paper=model.paper,
            symmetry=model.symmetry,
            fields=model.fields,
            parameters=parameters,
            flops=int(counter.get_total_flops()),
        )


def _jet(constituents: int, fields: tuple[str, ...]) -> RaggedJets:
    """One jet of random pions."""
    generator = torch.Generator().manual_seed(0)
    momenta = torch.randn(constituents, 3, generator=generator, dtype=torch.float64) + torch.tensor([10.0, 0.0, 5.0])
    mass = torch.full((constituents,), 0.13957, dtype=torch.float64)
    energy = torch.sqrt((momenta**2).sum(1) + mass**2)
    return RaggedJets(
        p4=torch.cat([energy[:, None], momenta], dim=1),
        mass=mass,
        offsets=torch.tensor([0, constituents]),
        jet_p4=torch.cat([energy[:, None], momenta], dim=1).sum(0, keepdim=True),
        columns=dict.fromkeys(fields, torch.ones(constituents, dtype=torch.float64)),
    )
