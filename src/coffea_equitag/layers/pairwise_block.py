"""The block of LorentzNet_base: LorentzNet's block with a choice of one edge scalar, or none."""

from __future__ import annotations

from torch import Tensor

from ..invariants.pair_scalars import check_pairwise, pair_scalar
from .lorentz_block import LorentzBlock, LorentzState
from .pairs import Pairs
from .psi import psi
from .segments import segment_sum

__all__ = ["PairwiseBlock"]


class PairwiseBlock(LorentzBlock):
    """LGEB with ψ of one pair scalar of the current vectors as its edge scalar, or with none.

    Li et al., Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814. With m²_ij only the Gram matrices are updated and the
    block stays Lorentz-invariant; with the other scalars the vectors themselves are updated. Without a pair scalar
    nothing depends on the vectors: φ_x exists, since the paper counts its parameters, but is not used.

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
        self.updates_vectors = self.updates_vectors and pairwise is not None

    def edge_scalars(self, state: LorentzState, pairs: Pairs) -> Tensor:
        """ψ of the pair scalar: shape (P, 1), or (P, 0) without one; float64."""
        if self.pairwise is None:
            return state.gram.new_empty((len(pairs.place), 0))
        assert state.x is not None
        scalar_P = pair_scalar(
            self.pairwise, state.x, state.gram, pairs.receiver, pairs.sender, pairs.place, pairs.diagonal
        )
        return psi(scalar_P)[:, None]

    def update_vectors(self, state: LorentzState, weight_P: Tensor, pairs: Pairs) -> LorentzState:
        """x_i ← x_i + c mean_j (x_i − x_j) w_ij, on the Gram matrices or the vectors, as the pair scalar needs."""
        if self.pairwise == "mass":
            return super().update_vectors(state, weight_P, pairs)
        assert state.x is not None
        degree_N1 = (pairs.offsets[1:] - pairs.offsets[:-1]).clamp(min=1)[:, None]
        step_P4 = (state.x[pairs.receiver] - state.x[pairs.sender]) * weight_P[:, None]
        x = state.x + self.c_weight * segment_sum(step_P4, pairs.offsets) / degree_N1
        return LorentzState(state.h, state.gram, x)
