"""The Lorentz group equivariant block of LorentzNet, on Gram matrices."""

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
    """The state that LorentzNet passes from block to block.

    Attributes
    ----------
    h : Tensor, shape (N, C)
        Node scalars, in the network's precision.
    gram : Tensor of float64, shape (Q,)
        Minkowski products x_i·x_j of the node vectors, in the square layout of `Pairs`.
    x : Tensor of float64, shape (N, 4), or None
        The vectors themselves, if needed for a covariant output or the clamp of the official code.
    """

    h: Tensor
    gram: Tensor
    x: Tensor | None = None


class LorentzBlock(nn.Module):
    """LGEB of LorentzNet (Gong et al., JHEP 07 (2022) 030, eqs. 3.1-3.4), all pairs i ≠ j of a jet.

    The vectors x^l are linear combinations of the inputs and enter the scalars only through their Gram matrix:
    x ← S x becomes G ← S G Sᵀ in float64, and the block is exactly as invariant as the input products are, to the
    last bit. The first edge layer is applied per node (it is linear in h_i and h_j), never to a list of edges.

    Parameters
    ----------
    hidden : int
        Channels of node and edge scalars.
    n_scalar : int
        Number of input scalars per node, which enter every block again.
    c_weight : float
        Step size c of the vector update.
    clamp : float or None
        The official code clamps the components of (x_i − x_j) φ_x to ±100, which breaks the symmetry; None does not
        clamp.
    last : bool
        The last block does not update the vectors and has no φ_x.
    n_edge : int
        Number of scalars per edge: the two of `edge_scalars`, unless a subclass has others.
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
        self.updates_vectors = not last
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
        if self.phi_x is None or not self.updates_vectors:
            return LorentzState(h_next, state.gram, state.x)
        weight_P = self.phi_x(message_PC)[:, 0].double()
        return self.update_vectors(LorentzState(h_next, state.gram, state.x), weight_P, pairs)

    def edge_scalars(self, state: LorentzState, pairs: Pairs) -> Tensor:
        """ψ(‖x_i − x_j‖²) and ψ(x_i·x_j): shape (P, 2), float64."""
        dot_P = state.gram[pairs.place]
        square_N = state.gram[pairs.diagonal]
        norm_P = square_N[pairs.receiver] + square_N[pairs.sender] - 2 * dot_P
        return torch.stack([psi(norm_P), psi(dot_P)], dim=1)

    def messages(self, h: Tensor, edge_scalars_PE: Tensor, pairs: Pairs) -> Tensor:
        """m_ij = φ_e σ(φ_m) from node scalars (N, C) and edge scalars (P, E): shape (P, C)."""
        linear, norm, relu, *rest = self.phi_e
        assert isinstance(linear, nn.Linear)
        c, edge_PE = h.shape[1], edge_scalars_PE.to(h.dtype)
        w_i, w_j, w_edge = torch.split(linear.weight, [c, c, edge_PE.shape[1]], dim=1)
        z_PC = torch.addmm((h @ w_i.T)[pairs.receiver] + (h @ w_j.T)[pairs.sender], edge_PE, w_edge.T)
        m_PC: Tensor = relu(norm(z_PC))
        for layer in rest:
            m_PC = layer(m_PC)
        gate_P1: Tensor = self.phi_m(m_PC)
        return m_PC * gate_P1

    def update_vectors(self, state: LorentzState, weight_P: Tensor, pairs: Pairs) -> LorentzState:
        """x_i ← x_i + c mean_j (x_i − x_j) w_ij, applied to the Gram matrices (and to x, if present)."""
        degree_N = (pairs.offsets[1:] - pairs.offsets[:-1]).clamp(min=1)
        step_P = self.c_weight * weight_P / degree_N[pairs.receiver]
        mixing_Q = torch.zeros_like(state.gram).index_copy(0, pairs.place, -step_P)
        mixing_Q = mixing_Q.index_copy(0, pairs.diagonal, 1 + segment_sum(step_P[:, None], pairs.offsets)[:, 0])
        gram_Q = pairs.similarity(mixing_Q, state.gram)
        if state.x is None:
            return LorentzState(state.h, gram_Q)
        raw = (state.x[pairs.receiver] - state.x[pairs.sender]) * weight_P[:, None]
        degree_N1 = degree_N[:, None]
        unclamped = state.x + self.c_weight * segment_sum(raw, pairs.offsets) / degree_N1
        if self.clamp is None:
            return LorentzState(state.h, gram_Q, unclamped)
        cut = raw.clamp(-self.clamp, self.clamp) - raw
        correction = self.c_weight * segment_sum(cut, pairs.offsets) / degree_N1
        return self._clamped(state.h, gram_Q, unclamped, correction, pairs)

    def _clamped(self, h: Tensor, gram_Q: Tensor, y: Tensor, d: Tensor, pairs: Pairs) -> LorentzState:
        """Gram matrices of y + d, where y are the updated vectors without the clamp and d is its correction."""
        lowered = d * d.new_tensor([1.0, -1.0, -1.0, -1.0])
        i, j = pairs.receiver, pairs.sender
        mixed = (y[i] * lowered[j] + lowered[i] * y[j] + lowered[i] * d[j]).sum(1)
        diagonal = (2 * y * lowered + lowered * d).sum(1)
        gram_Q = gram_Q.index_add(0, pairs.place, mixed).index_add(0, pairs.diagonal, diagonal)
        return LorentzState(h, gram_Q, y + d)
