"""The Lorentz group equivariant block of LorentzNet, in Gram space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .batch_norm import RowBatchNorm
from .pairs import Pairs
from .psi import psi
from .segments import segment_sum

__all__ = ["LorentzBlock", "LorentzState"]


@dataclass(frozen=True)
class LorentzState:
    """What LorentzNet carries from block to block.

    Attributes
    ----------
    h : Tensor, shape (N, C)
        Node scalars, in the network's precision.
    gram : Tensor of float64, shape (Q,)
        Minkowski products x_i·x_j of the nodes' vectors, in the square layout of `Pairs`.
    x : Tensor of float64, shape (N, 4), or None
        The vectors themselves, where a covariant output or the clamp of the official code needs them.
    """

    h: Tensor
    gram: Tensor
    x: Tensor | None = None


class LorentzBlock(nn.Module):
    """LGEB of LorentzNet (Gong et al., JHEP 07 (2022) 030, eqs. 3.1-3.4), all pairs i ≠ j of a jet.

    The vectors x^l are linear mixtures of the inputs, so their Gram matrix is all that scalars ever see:
    x ← S x becomes G ← S G Sᵀ in float64, and the block is invariant to the last bit that the input products
    are. The first edge layer is applied per node (it is linear in h_i and h_j), never to a list of edges.

    Parameters
    ----------
    hidden : int
        Channels of node and edge scalars.
    n_scalar : int
        Input scalars a node, seen again by every block.
    c_weight : float
        Step c of the vectors' update.
    clamp : float or None
        Official code clamps the components of (x_i − x_j) φ_x to ±100, which breaks the symmetry; None does not.
    last : bool
        The last block leaves the vectors alone and has no φ_x.
    n_edge : int
        Scalars an edge; two of `edge_scalars`, unless a subclass has others.
    """

    def __init__(
        self,
        hidden: int,
        n_scalar: int,
        *,
        c_weight: float,
        clamp: float | None = None,
        last: bool = False,
        n_edge: int = 2,
    ) -> None:
        super().__init__()
        self.c_weight, self.clamp = c_weight, clamp
        self.phi_e = nn.Sequential(
            nn.Linear(2 * hidden + n_edge, hidden, bias=False),
            RowBatchNorm(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.phi_h = nn.Sequential(
            nn.Linear(2 * hidden + n_scalar, hidden),
            RowBatchNorm(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
        )
        self.phi_m = nn.Sequential(nn.Linear(hidden, 1), nn.Sigmoid())
        self.moves = not last
        self.phi_x: nn.Sequential | None = None
        if not last:
            out = nn.Linear(hidden, 1, bias=False)
            nn.init.xavier_uniform_(out.weight, gain=0.001)
            self.phi_x = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), out)

    def forward(self, state: LorentzState, scalars: Tensor, pairs: Pairs) -> LorentzState:
        """Update scalars and vectors.

        Parameters
        ----------
        state : LorentzState
            Scalars (N, C) and Gram matrices (Q,).
        scalars : Tensor, shape (N, n_scalar)
            The input scalars.
        pairs : Pairs
            The pairs of each jet.
        """
        h = state.h
        message_PC = self.messages(h, self.edge_scalars(state, pairs), pairs)
        total_NC = segment_sum(message_PC, pairs.offsets)
        h_next = h + self.phi_h(torch.cat([h, total_NC, scalars], dim=1))
        if self.phi_x is None or not self.moves:
            return LorentzState(h_next, state.gram, state.x)
        weight_P = self.phi_x(message_PC)[:, 0].double()
        return self.move(LorentzState(h_next, state.gram, state.x), weight_P, pairs)

    def edge_scalars(self, state: LorentzState, pairs: Pairs) -> Tensor:
        """ψ(‖x_i − x_j‖²) and ψ(x_i·x_j): shape (P, 2), float64."""
        dot_P = state.gram[pairs.place]
        square_N = state.gram[pairs.diagonal]
        norm_P = square_N[pairs.receiver] + square_N[pairs.sender] - 2 * dot_P
        return torch.stack([psi(norm_P), psi(dot_P)], dim=1)

    def messages(self, h: Tensor, seen_PE: Tensor, pairs: Pairs) -> Tensor:
        """m_ij = φ_e σ(φ_m) of node scalars (N, C) and edge scalars (P, E): shape (P, C)."""
        linear, norm, relu, *rest = self.phi_e
        assert isinstance(linear, nn.Linear)
        c, seen = h.shape[1], seen_PE.to(h.dtype)
        w_i, w_j, w_seen = torch.split(linear.weight, [c, c, seen.shape[1]], dim=1)
        z_PC = torch.addmm((h @ w_i.T)[pairs.receiver] + (h @ w_j.T)[pairs.sender], seen, w_seen.T)
        m_PC: Tensor = relu(norm(z_PC))
        for layer in rest:
            m_PC = layer(m_PC)
        gate_P1: Tensor = self.phi_m(m_PC)
        return m_PC * gate_P1

    def move(self, state: LorentzState, weight_P: Tensor, pairs: Pairs) -> LorentzState:
        """x_i ← x_i + c mean_j (x_i − x_j) w_ij, on the Gram matrices (and on x where it is carried)."""
        degree_N = (pairs.offsets[1:] - pairs.offsets[:-1]).clamp(min=1)
        step_P = self.c_weight * weight_P / degree_N[pairs.receiver]
        mixing_Q = torch.zeros_like(state.gram).index_copy(0, pairs.place, -step_P)
        mixing_Q = mixing_Q.index_copy(0, pairs.diagonal, 1 + segment_sum(step_P[:, None], pairs.offsets)[:, 0])
        gram_Q = pairs.similarity(mixing_Q, state.gram)
        if state.x is None:
            return LorentzState(state.h, gram_Q)
        raw = (state.x[pairs.receiver] - state.x[pairs.sender]) * weight_P[:, None]
        degree_N1 = degree_N[:, None]
        moved = state.x + self.c_weight * segment_sum(raw, pairs.offsets) / degree_N1
        if self.clamp is None:
            return LorentzState(state.h, gram_Q, moved)
        cut = raw.clamp(-self.clamp, self.clamp) - raw
        excess = self.c_weight * segment_sum(cut, pairs.offsets) / degree_N1
        return self._clamped(state.h, gram_Q, moved, excess, pairs)

    def _clamped(self, h: Tensor, gram_Q: Tensor, moved: Tensor, excess: Tensor, pairs: Pairs) -> LorentzState:
        """What the clamp cuts off, d_i, enters as (y + d)(y + d)ᵀ with y the vectors moved without it."""
        lowered = excess * excess.new_tensor([1.0, -1.0, -1.0, -1.0])
        i, j = pairs.receiver, pairs.sender
        mixed = (moved[i] * lowered[j] + lowered[i] * moved[j] + lowered[i] * excess[j]).sum(1)
        diagonal = (2 * moved * lowered + lowered * excess).sum(1)
        gram_Q = gram_Q.index_add(0, pairs.place, mixed).index_add(0, pairs.diagonal, diagonal)
        return LorentzState(h, gram_Q, moved + excess)
