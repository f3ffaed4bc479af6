"""Jets padded to one width, as exported graphs hold them: every sum leaves the padding out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..jets.ragged import RaggedJets

__all__ = ["PaddedJets"]


@dataclass(frozen=True)
class PaddedJets:
    """J jets of W places each, of which `real` says where constituents (or reference vectors) are.

    A graph of fixed form cannot group jets by multiplicity, as the layers do: it takes all jets as wide as the widest.

    Attributes
    ----------
    p4 : Tensor of float64, shape (J, W, 4)
        (E, px, py, pz), GeV; 0 in the padding.
    mass : Tensor of float64, shape (J, W)
        Masses, GeV.
    real : Tensor of bool, shape (J, W)
        Which places are taken.
    jet_p4 : Tensor of float64, shape (J, 4)
        The jets' own four-momenta, GeV.
    polar : Tensor of float64, shape (J, W', 3), or None
        (pT, η, φ), if given; of constituents only, not of the references before them.
    columns : mapping of str to Tensor
        Further columns (J, W).
    references : int
        Reference vectors before each jet's constituents.
    """

    p4: Tensor
    mass: Tensor
    real: Tensor
    jet_p4: Tensor
    polar: Tensor | None = None
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    references: int = 0

    @property
    def counts(self) -> Tensor:
        """Nodes of each jet, shape (J,)."""
        return self.real.sum(1)

    @property
    def size(self) -> tuple[int, int]:
        """(J, W)."""
        return self.real.shape[0], self.real.shape[1]

    def rows(self) -> RaggedJets:
        """All places as the rows of one batch, for functions of each constituent and its jet, which comes with it."""
        return RaggedJets(
            p4=self.p4.flatten(0, 1),
            mass=self.mass.flatten(),
            offsets=torch.zeros(2, dtype=torch.int64),
            jet_p4=self.jet_p4[:, None].expand(-1, self.size[1], -1).flatten(0, 1),
            polar=None if self.polar is None or self.references else self.polar.flatten(0, 1),
            columns={name: column.flatten() for name, column in self.columns.items()},
        )

    def masked(self, values_JWC: Tensor) -> Tensor:
        """The values (J, W, C), 0 in the padding."""
        return torch.where(self.real[..., None], values_JWC, 0.0)

    def sum(self, values_JWC: Tensor) -> Tensor:
        """Sum over the nodes of each jet: (J, C)."""
        return self.masked(values_JWC).sum(1)

    def mean(self, values_JWC: Tensor) -> Tensor:
        """Mean over the nodes of each jet, 0 if there are none: (J, C)."""
        return self.sum(values_JWC) / self.counts.clamp(min=1)[:, None].to(values_JWC)

    def between(self) -> Tensor:
        """Which pairs i ≠ j are both real: (J, W, W)."""
        other = ~torch.eye(self.size[1], dtype=torch.bool)
        return self.real[:, :, None] & self.real[:, None] & other

    def hardest(self, most: int) -> PaddedJets:
        """Without those constituents of each jet that have `most` of larger pT, as `RaggedJets.hardest`."""
        pt = torch.where(self.real, torch.hypot(self.p4[..., 1], self.p4[..., 2]), -1.0)
        earlier = torch.ones(pt.shape[1], pt.shape[1], dtype=torch.bool).tril(-1)
        harder = (pt[:, None] > pt[:, :, None]) | ((pt[:, None] == pt[:, :, None]) & earlier)
        return replace(self, real=self.real & (harder.sum(2) < most))

    def prepend(self, p4_K4: Tensor, mass_K: Tensor) -> PaddedJets:
        """The same k reference vectors before each jet's constituents; a column ``reference`` tells them apart."""
        k, jets = len(mass_K), self.size[0]

        def before(front: Tensor, values: Tensor) -> Tensor:
            return torch.cat([front.to(values).expand(jets, *front.shape), values], dim=1)

        return PaddedJets(
            p4=before(p4_K4, self.p4),
            mass=before(mass_K, self.mass),
            real=before(torch.ones(k, dtype=torch.bool), self.real),
            jet_p4=self.jet_p4,
            polar=self.polar,
            columns={name: before(torch.zeros(k), column) for name, column in self.columns.items()}
            | {"reference": before(torch.ones(k, dtype=torch.bool), torch.zeros_like(self.real))},
            references=k,
        )
