"""The block of LorentzNet_base: LorentzNet's, with one edge scalar of one's choice, or none."""

from __future__ import annotations

from torch import Tensor

from ..invariants.pair_scalars import check_pairwise, pair_scalar
from .lorentz_block import LorentzBlock, LorentzState
from .pairs import Pairs
from .psi import psi
from .segments import segment_sum

__all__ = ["PairwiseBlock"]


class PairwiseBlock(LorentzBlock):
    """LGEB whose edges see ψ of one pair scalar of the vectors as they move, or no pair scalar at all.

    Li et al., Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814. With m²_ij the vectors move in Gram space and the
    block stays Lorentz-invariant; with the others they move themselves. Without a pair scalar nothing depends on the
    vectors: φ_x is there, as it was counted in the paper's network, but at rest.

    Parameters
    ----------
    hidden, n_scalar, c_weight, last
        As in `LorentzBlock`.
    pairwise : {None, "mass", "delta_r", "delta_r_pt", "energy"}
        The edge scalar.
    """

    def __init__(
        self, hidden: int, n_scalar: int, *, c_weight: float, pairwise: str | None = None, last: bool = False
    ) -> None:
        check_pairwise(pairwise)
        super().__init__(hidden, n_scalar, c_weight=c_weight, last=last, n_edge=0 if pairwise is None else 1)
        self.pairwise = pairwise
        self.moves = self.moves and pairwise is not None

    def edge_scalars(self, state: LorentzState, pairs: Pairs) -> Tensor:
        """ψ of the pair scalar: shape (P, 1), or (P, 0) without one; float64."""
        if self.pairwise is None:
            return state.gram.new_empty((len(pairs.place), 0))
        assert state.x is not None
        scalar_P = pair_scalar(
            self.pairwise, state.x, state.gram, pairs.receiver, pairs.sender, pairs.place, pairs.diagonal
        )
        return psi(scalar_P)[:, None]

    def move(self, state: LorentzState, weight_P: Tensor, pairs: Pairs) -> LorentzState:
        """x_i ← x_i + c mean_j (x_i − x_j) w_ij, on what the pair scalar is made of."""
        if self.pairwise == "mass":
            return super().move(state, weight_P, pairs)
        assert state.x is not None
        degree_N1 = (pairs.offsets[1:] - pairs.offsets[:-1]).clamp(min=1)[:, None]
        step_P4 = (state.x[pairs.receiver] - state.x[pairs.sender]) * weight_P[:, None]
        x = state.x + self.c_weight * segment_sum(step_P4, pairs.offsets) / degree_N1
        return LorentzState(state.h, state.gram, x)
