"""What is exported: a tagger as a function of tensors, from the columns of jets to scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..tagger import Tagger
from . import networks
from .four_momenta import Coordinates, momenta
from .padded_jets import PaddedJets

__all__ = ["CMSGraph", "Graph", "PaddedGraph", "RaggedGraph"]


class Graph(nn.Module):
    """A tagger's network with its preprocessing and its softmax.

    Parameters
    ----------
    tagger : Tagger
        The tagger.
    coordinates : {"polar", "cartesian"}
        Of the momenta: (pT, η, φ, m) or (px, py, pz, m), GeV.
    own_momenta : bool
        Whether jets come with momenta of their own, not those of their constituents.
    """

    def __init__(self, tagger: Tagger, coordinates: Coordinates = "polar", own_momenta: bool = False) -> None:
        super().__init__()
        self.network = tagger.model
        self.coordinates: Coordinates = coordinates
        self.own_momenta, self.temperature = own_momenta, tagger.card.temperature
        self.columns = tagger.card.contract.constituent_fields
        self.least_width = networks.least_width(tagger.model)

    def scores(
        self,
        given: Tensor,
        real: Tensor,
        columns: Sequence[Tensor],
        jets: Tensor | None,
        energies: Tensor | None = None,
    ) -> Tensor:
        """Scores (J, K) of padded columns (J, W, 4) and (J, W), of which some places are real."""
        found = momenta(given, self.coordinates)
        real = real & found.exists
        p4 = torch.where(real[..., None], found.p4, 0.0)
        if energies is not None:
            p4 = torch.cat([energies[..., None], p4[..., 1:]], dim=2)
        padded = PaddedJets(
            p4=p4,
            mass=torch.where(real, found.mass, 0.0),
            real=real,
            jet_p4=p4.sum(1) if jets is None else momenta(jets, self.coordinates).p4,
            polar=found.polar,
            columns=dict(zip(self.columns, columns, strict=True)),
        )
        outputs = networks.outputs(self.network, padded)
        if self.network.output != "classes":
            return outputs
        return torch.softmax(outputs.double() / self.temperature, dim=1).to(self.network.dtype)

    def _with_jets(self, rest: Sequence[Tensor]) -> tuple[Sequence[Tensor], Tensor | None]:
        """The columns, and the jets' own momenta after them with a jet more, which is empty."""
        if not self.own_momenta:
            return rest, None
        return rest[:-1], nn.functional.pad(rest[-1], (0, 0, 0, 1))


class RaggedGraph(Graph):
    """Takes the constituents of all jets one after the other, and where each jet begins; see `Graph`.

    Inside, they are padded to the widest jet of the call. An empty jet is appended and taken away at the end, so that
    no dimension is ever 0.
    """

    def forward(self, constituents: Tensor, offsets: Tensor, *rest: Tensor) -> Tensor:
        """Scores (J, K) of constituents (N, 4), offsets (J + 1,), columns (N,) each and, if so agreed, jets (J, 4)."""
        columns, jets = self._with_jets(rest)
        counts = torch.cat([offsets[1:] - offsets[:-1], offsets.new_zeros(1)])
        width: Any = counts.max().clamp(min=self.least_width).item()  # in a graph a symbol
        torch._check(width >= self.least_width)  # type: ignore[no-untyped-call]
        place = torch.arange(width)
        real = place < counts[:, None]
        # what is no constituent is read from a row of zeros after the last
        at = torch.where(real, offsets[:, None] + place, constituents.shape[0])
        padded = [
            torch.cat([values, values.new_zeros(1, *values.shape[1:])])[at] for values in (constituents, *columns)
        ]
        return self.scores(padded[0], real, padded[1:], jets)[:-1]


class PaddedGraph(Graph):
    """Takes jets padded with zeros to one width, wherever the zeros are; see `Graph`."""

    def forward(self, constituents: Tensor, *rest: Tensor) -> Tensor:
        """Scores (J, K) of constituents (J, W, 4), columns (J, W) each and, if so agreed, jets (J, 4)."""
        columns, jets = self._with_jets(rest)
        # as wide as the network needs, and a jet more
        given = nn.functional.pad(constituents, (0, 0, 0, self.least_width, 0, 1))
        wide = [nn.functional.pad(values, (0, self.least_width, 0, 1)) for values in columns]
        return self.scores(given, torch.ones_like(given[..., 0], dtype=torch.bool), wide, jets)[:-1]


class CMSGraph(Graph):
    """Takes what CMS's software passes to networks of ParticleNet's kind: (J, variables, W), float32; see `Graph`.

    Features are computed inside, so that the variables are the momenta and the columns as they are. Masses come from
    energies and momenta with the digits of float32, and are 0 where these cannot carry them (`jets.mass_resolution`).
    """

    def forward(self, vectors: Tensor, mask: Tensor, *rest: Tensor) -> Tensor:
        """Scores (J, K) of (px, py, pz, E) (J, 4, W), a mask (J, 1, W) and the columns (J, F, W)."""
        px, py, pz, energy = vectors.double().unbind(1)
        three = torch.stack([px, py, pz], dim=2)
        square = energy.square() - px.square() - py.square() - pz.square()
        light = square <= 4 * torch.finfo(torch.float32).eps * energy.square()
        mass = torch.where(light, 0.0, square.clamp(min=0.0)).sqrt()
        real = mask[:, 0] > 0.5
        columns = [*rest[0].double().unbind(1)] if rest else []
        given = torch.where(real[..., None], torch.cat([three, mass[..., None]], dim=2), 0.0)
        wide = [torch.where(real, values, 0.0) for values in columns]
        given = nn.functional.pad(given, (0, 0, 0, self.least_width, 0, 1))
        wide = [nn.functional.pad(values, (0, self.least_width, 0, 1)) for values in wide]
        energies = nn.functional.pad(torch.where(real, energy, 0.0), (0, self.least_width, 0, 1))
        found = self.scores(given, torch.ones_like(given[..., 0], dtype=torch.bool), wide, None, energies)
        return found[:-1].float()
