"""The rest frame of a jet, without loss of precision however large its boost."""

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

    A network that is exactly Lorentz covariant gives the same result in every frame, but not at finite precision: a
    product of components in the laboratory frame loses a factor of 2γ² in precision. In the rest frame nothing
    cancels, and the momenta there follow from invariants: with M² = P² = Σ p_i·p_j and the direction n of P,

        E*_i = Σ_j p_i·p_j / M,   p*_i = p_⊥ + n (p_∥ M / P⁰ − E*_i |P| / P⁰).

    If M = 0, all products p_i·p_j vanish; zero vectors, which have the same invariants, are used instead.

    Attributes
    ----------
    p4 : Tensor of float64, shape (N, 4)
        (E, px, py, pz) in the rest frame.
    mass : Tensor of float64, shape (J,)
        M.
    total : Tensor of float64, shape (J, 4)
        P in the laboratory frame.
    """

    p4: Tensor
    mass: Tensor
    total: Tensor

    @classmethod
    def of(cls, nodes: RaggedJets, gram_Q: Tensor) -> RestFrame:
        """Rest frames of jets with the given products p_i·p_j (square layout, numerically stable)."""
        counts = nodes.counts
        n = torch.repeat_interleave(counts, counts)
        jet = torch.repeat_interleave(torch.arange(nodes.num_jets, device=nodes.device), counts)
        dot_total = segment_sum(gram_Q[:, None], boundaries(n))
        square = segment_sum(dot_total, nodes.offsets)[:, 0]
        # √0 has no derivative: where M = 0, none is taken
        mass = torch.where(square > 0, square, 1.0).sqrt() * (square > 0)
        total = segment_sum(nodes.p4, nodes.offsets)
        frame = cls(nodes.p4, mass, total)
        direction, speed, inverse_gamma = frame.motion()
        energy = dot_total / torch.where(mass > 0, mass, 1.0)[jet, None]
        parallel = (nodes.p4[:, 1:] * direction[jet]).sum(1, keepdim=True)
        transverse = nodes.p4[:, 1:] - parallel * direction[jet]
        three = transverse + direction[jet] * (parallel * inverse_gamma[jet] - energy * speed[jet])
        p4 = torch.cat([energy, three], dim=1)
        return cls(torch.where((mass > 0)[jet, None], p4, p4.new_zeros(())), mass, total)

    def to_laboratory(self, vectors_J4: Tensor) -> Tensor:
        """Boost one vector per jet, shape (J, 4), from the rest frame to the laboratory frame."""
        direction, speed, inverse_gamma = self.motion()
        vectors = vectors_J4.to(self.total.dtype)
        energy, three = vectors[:, :1], vectors[:, 1:]
        parallel = (three * direction).sum(1, keepdim=True)
        massive = (self.mass > 0)[:, None]
        gamma = 1 / torch.where(massive, inverse_gamma, 1.0)
        boosted = torch.cat(
            [
                gamma * (energy + speed * parallel),
                three + direction * (gamma * (parallel + speed * energy) - parallel),
            ],
            dim=1,
        )
        return torch.where(massive, boosted, boosted.new_zeros(()))

    def motion(self) -> tuple[Tensor, Tensor, Tensor]:
        """Direction of P (J, 3), β = |P|/P⁰ (J, 1) and 1/γ = M/P⁰ (J, 1)."""
        size = self.total[:, 1:].norm(dim=1, keepdim=True)
        energy = torch.where(self.total[:, :1] > 0, self.total[:, :1], 1.0)
        direction = self.total[:, 1:] / torch.where(size > 0, size, 1.0)
        return direction, size / energy, self.mass[:, None] / energy
