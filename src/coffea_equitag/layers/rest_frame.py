"""The rest frame of a jet, without loss of digits however fast the jet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..jets.ragged import RaggedJets, boundaries
from .segments import segment_sum

__all__ = ["RestFrame"]


@dataclass(frozen=True)
class RestFrame:
    """Momenta of each jet's nodes in the rest frame of their sum P.

    A network that is exactly Lorentz covariant gives the same in every frame, but not with finite digits: a
    product of components in the laboratory loses 2γ² of its figures. In this frame nothing cancels, and it is
    reached from invariants: with M² = P² = Σ p_i·p_j and the direction n of P,

        E*_i = Σ_j p_i·p_j / M,   p*_i = p_⊥ + n (p_∥ M / P⁰ − E*_i |P| / P⁰).

    Where M = 0 all products p_i·p_j vanish; zero vectors have the same invariants, and stand there.

    Attributes
    ----------
    p4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) in the rest frame.
    mass : Tensor of float64, shape (J,)
        M.
    total : Tensor of float64, shape (J, 4)
        P in the laboratory.
    """

    p4: Tensor
    mass: Tensor
    total: Tensor

    @classmethod
    def of(cls, nodes: RaggedJets, gram_Q: Tensor) -> RestFrame:
        """Rest frames of jets with the given products p_i·p_j (square layout, stable)."""
        counts = nodes.counts
        n = torch.repeat_interleave(counts, counts)
        jet = torch.repeat_interleave(torch.arange(nodes.num_jets, device=nodes.device), counts)
        onto_total = segment_sum(gram_Q[:, None], boundaries(n))
        mass = segment_sum(onto_total, nodes.offsets)[:, 0].clamp(min=0).sqrt()
        total = segment_sum(nodes.p4, nodes.offsets)
        frame = cls(nodes.p4, mass, total)
        direction, speed, inverse_gamma = frame._motion()
        energy = onto_total / torch.where(mass > 0, mass, 1.0)[jet, None]
        along = (nodes.p4[:, 1:] * direction[jet]).sum(1, keepdim=True)
        across = nodes.p4[:, 1:] - along * direction[jet]
        three = across + direction[jet] * (along * inverse_gamma[jet] - energy * speed[jet])
        p4 = torch.cat([energy, three], dim=1)
        return cls(torch.where((mass > 0)[jet, None], p4, p4.new_zeros(())), mass, total)

    def to_laboratory(self, vectors_J4: Tensor) -> Tensor:
        """Boost one vector a jet, shape (J, 4), from the rest frame to the laboratory."""
        direction, speed, inverse_gamma = self._motion()
        vectors = vectors_J4.to(self.total.dtype)
        energy, three = vectors[:, :1], vectors[:, 1:]
        along = (three * direction).sum(1, keepdim=True)
        moving = (self.mass > 0)[:, None]
        gamma = 1 / torch.where(moving, inverse_gamma, 1.0)
        boosted = torch.cat(
            [
                gamma * (energy + speed * along),
                three + direction * (gamma * (along + speed * energy) - along),
            ],
            dim=1,
        )
        return torch.where(moving, boosted, boosted.new_zeros(()))

    def _motion(self) -> tuple[Tensor, Tensor, Tensor]:
        """Direction (J, 3), |P|/P⁰ (J, 1) and M/P⁰ (J, 1)."""
        size = self.total[:, 1:].norm(dim=1, keepdim=True)
        energy = torch.where(self.total[:, :1] > 0, self.total[:, :1], 1.0)
        direction = self.total[:, 1:] / torch.where(size > 0, size, 1.0)
        return direction, size / energy, self.mass[:, None] / energy
